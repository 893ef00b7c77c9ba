//! HTTP/2 on one connection, by the h2 crate itself: it tells a stream that the server did not
//! process from one that broke.

mod worker;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use h2::client::SendRequest;
use h2::{Error, Reason};
use hyper::body::Bytes;
use hyper::header::LOCATION;
use tokio::sync::{Mutex, Notify};

use super::connect::Target;
use super::fault::{Class, Fault, Lost};
use super::reply::Reply;

pub use worker::Worker;

const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;

/// The workers of one connection share it, and its successor when it ends.
#[derive(Default)]
pub struct Link {
    current: RefCell<Option<Rc<Session>>>,
    connecting: Mutex<()>,
}

impl Link {
    /// The connection, and whether it was opened for this very request.
    pub async fn session(&self, target: &Target) -> Result<(Rc<Session>, bool), Fault> {
        let current = || self.current.borrow().clone();
        if let Some(session) = current() {
            return Ok((session, false));
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(session) = current() {
            return Ok((session, false));
        }
        let session = Rc::new(Session::open(target).await?);
        *self.current.borrow_mut() = Some(session.clone());
        Ok((session, true))
    }

    /// No new streams on this one; those that are open go on.
    pub fn retire(&self, session: &Rc<Session>) {
        self.current.borrow_mut().take_if(|current| Rc::ptr_eq(current, session));
    }
}

pub struct Session {
    send: SendRequest<Bytes>,
    open: Cell<usize>,
    room: Notify,
    /// When the server last said something.
    heard: Cell<Instant>,
}

impl Session {
    async fn open(target: &Target) -> Result<Self, Fault> {
        let io = target.connect().await?;
        if !io.speaks_h2() {
            return Err(Fault::new(Class::Tls, "the server does not offer HTTP/2"));
        }
        let (send, connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(io)
            .await
            .map_err(|error| Fault::new(Class::Connect, error))?;
        // Its end is seen by every stream on it.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(Self { send, open: Cell::new(0), room: Notify::new(), heard: Cell::new(Instant::now()) })
    }

    pub fn heard_since(&self, time: Instant) -> bool {
        self.heard.get() > time
    }

    /// Waits until the server allows one more stream; true if it had to.
    pub async fn slot(self: &Rc<Self>) -> (Slot, bool) {
        let mut waited = false;
        while self.open.get() >= self.send.current_max_send_streams() {
            waited = true;
            self.room.notified().await;
        }
        self.open.set(self.open.get() + 1);
        (Slot(self.clone()), waited)
    }
}

/// One stream's place among those that the server allows.
pub struct Slot(Rc<Session>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.room.notify_one();
    }
}

impl Slot {
    pub async fn exchange(
        &self,
        request: hyper::Request<()>,
        body: Bytes,
        reply: &mut Reply,
    ) -> Result<(), Lost> {
        let mut send = self.0.send.clone().ready().await.map_err(unsent)?;
        let (answer, mut stream) = send.send_request(request, body.is_empty()).map_err(unsent)?;
        if !body.is_empty() {
            // If the connection just broke, the answer says how.
            let _ = stream.send_data(body, true);
        }
        let (head, mut body) =
            answer.await.map_err(|error| lost(&error, Class::NoReply))?.into_parts();
        self.0.heard.set(Instant::now());
        reply.status = head.status.as_u16();
        if let Some(location) = head.headers.get(LOCATION) {
            reply.location.extend_from_slice(location.as_bytes());
        }
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(|error| lost(&error, Class::HalfReply))?;
            reply.push(&chunk);
            // Refused only when the stream is over.
            let _ = body.flow_control().release_capacity(chunk.len());
        }
        Ok(())
    }
}

/// Before a stream was opened: nothing was written.
fn unsent(error: Error) -> Lost {
    if error.is_go_away() {
        Lost::Unprocessed(Fault::new(Class::GoAway, error))
    } else if error.is_io() {
        Lost::Unprocessed(Fault::new(Class::ClosedUnwritten, error))
    } else {
        Lost::Failed(Fault::new(Class::Client, error))
    }
}

/// A GOAWAY of the server reaches only the streams above the last that it processed (RFC 9113, 6.8
/// and 8.7).
fn lost(error: &Error, broken: Class) -> Lost {
    if error.is_remote() && error.is_go_away() {
        return Lost::Unprocessed(Fault::new(Class::GoAway, error));
    }
    if error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
        return Lost::Unprocessed(Fault::new(Class::RefusedStream, error));
    }
    let class = match (error.is_io(), error.is_remote()) {
        (true, _) => broken,
        (false, true) => Class::StreamReset,
        (false, false) => Class::BadReply,
    };
    Lost::Failed(Fault::new(class, error))
}
