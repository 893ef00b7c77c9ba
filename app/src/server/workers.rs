//! The workers: each a thread with its own runtime and its own accept loop on the shared socket.
//!
//! actix-server has one acceptor that hands connections to a queue per worker. What waits in such
//! a queue is not counted, sits behind a blocked worker, and is dropped at a stop. Here it waits in
//! the kernel, where any worker that is free takes it, so only `actix_http::HttpService` is used.

use std::{
    io, net::TcpListener, os::unix::net::UnixListener, pin::pin, sync::Arc, thread, time::Duration,
};

use actix_http::HttpService;
use actix_service::{Service as _, ServiceFactory as _, map_config};
use actix_web::{dev::AppConfig, web::Data};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net,
    runtime::LocalOptions,
};

use super::{
    app,
    life::{Accepting, Life, Phase},
    socket::{self, Listening},
};
use crate::state::AppState;

/// Above this many a worker leaves connections to the kernel's queue.
const CONNECTIONS_PER_WORKER: usize = 4096;
/// Files that are no clients' connections: the database's, the workers' own.
const OTHER_FILES: u64 = 256;
/// For the development server's files; production has nothing that waits here.
const BLOCKING_THREADS: usize = 4;

/// A bound socket that workers can share.
pub trait Listener: Send + Sized + 'static {
    type Async: Accept;
    fn share(&self) -> io::Result<Self>;
    fn into_async(self) -> io::Result<Self::Async>;
}

pub trait Accept: 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>>;
}

impl Listener for UnixListener {
    type Async = Listening;

    fn share(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn into_async(self) -> io::Result<Self::Async> {
        Listening::new(self)
    }
}

impl Accept for Listening {
    type Stream = socket::Stream;

    async fn accept(&self) -> io::Result<Self::Stream> {
        self.accept().await
    }
}

impl Listener for TcpListener {
    type Async = net::TcpListener;

    fn share(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn into_async(self) -> io::Result<Self::Async> {
        self.set_nonblocking(true)?;
        net::TcpListener::from_std(self)
    }
}

impl Accept for net::TcpListener {
    type Stream = net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        // Off by default: a reply in two writes would wait 40 ms for the client's delayed ACK.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Starts `count` workers on one listener. They end with `Phase::Ended`.
pub fn start<L: Listener>(
    listener: &L,
    count: usize,
    state: &Data<AppState>,
) -> io::Result<Vec<thread::JoinHandle<()>>> {
    (0..count)
        .map(|number| {
            let (listener, state) = (listener.share()?, state.clone());
            let accepting = state.life.accept();
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .max_blocking_threads(BLOCKING_THREADS)
                    .build_local(LocalOptions::default())
                    .expect("a runtime needs an epoll instance")
                    .block_on(work(listener, state, accepting));
            })
        })
        .collect()
}

async fn work<L: Listener>(listener: L, state: Data<AppState>, accepting: Accepting) {
    let life = state.life.clone();
    let listener = listener.into_async().expect("a bound socket can be polled");
    let service = HttpService::build()
        .keep_alive(Duration::from_secs(state.settings.server.keep_alive_s))
        // nginx bounds slow heads. Ours must outlast a worker that was blocked: the timer is asked
        // before the socket is read.
        .client_request_timeout(Duration::from_secs(state.settings.server.handler_deadline_s))
        // Not 0: a refused upload's reply must linger until nginx has read it.
        .client_disconnect_timeout(Duration::from_secs(1))
        // A client that has gone takes its request with it; what must finish is spawned.
        .h1_allow_half_closed(false)
        .h1(map_config(app(state), |()| AppConfig::default()))
        .new_service(())
        .await
        .expect("building the routes cannot fail");

    let serve = |stream| {
        let connection = life.connection();
        let answer = service.call((stream, None));
        tokio::task::spawn_local(async move {
            // What fails here is one client's connection; failures of ours are replies.
            if let Err(error) = answer.await {
                tracing::debug!("connection ended: {error}");
            }
            drop(connection);
        });
    };
    accept(&listener, &life, serve).await;
    drop(listener);
    drop(accepting);
    life.reached(Phase::Ended).await;
}

/// A reply that waits for its reader takes a second descriptor; without one it would be cut short.
fn connections_by_files() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).max(1)
}

async fn accept<A: Accept>(listener: &A, life: &Arc<Life>, serve: impl Fn(A::Stream)) {
    let mut closing = pin!(life.reached(Phase::Closing));
    let by_files = connections_by_files();
    while life.phase() < Phase::Ended {
        if life.open() >= by_files.min(CONNECTIONS_PER_WORKER * life.accepting().max(1)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        tokio::select! {
            // First the queue, then the end: what is queued was promised an answer.
            biased;
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    serve(stream);
                    // The other workers heard the same wake-up; let them have a share.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    tracing::error!("cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = &mut closing => return,
        }
    }
}
