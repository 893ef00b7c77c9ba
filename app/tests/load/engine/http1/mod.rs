//! HTTP/1.1 on one connection. It is ours and not hyper's for two reasons: it knows to the byte
//! what was written when a connection breaks, and a request costs no allocation.

mod head;
mod worker;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::{Idle, Io, Target};
use super::fault::{Class, Fault, Lost};
use super::reply::Reply;
use head::Head;

pub use worker::Worker;

const BUFFER: usize = 64 * 1024;

pub struct Connection {
    io: Box<dyn Io>,
    /// `buffer[used..filled]` is read and not yet used. Made at the first answer: idle connections
    /// need none.
    buffer: Vec<u8>,
    used: usize,
    filled: usize,
}

enum Written {
    All,
    /// The server answers already, and may never read the rest.
    Early,
    Broken {
        sent: usize,
        error: io::Error,
    },
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        let io = target.connect().await?;
        Ok(Self { io, buffer: Vec::new(), used: 0, filled: 0 })
    }

    /// Sends a request and reads its answer; true if the connection can be used again.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        is_head: bool,
        reply: &mut Reply,
    ) -> Result<bool, Lost> {
        if self.was_closed().await {
            return Err(unwritten("the server closed the connection before anything was written"));
        }
        match self.write(request).await {
            Written::All => Ok(self.read(is_head, reply).await?),
            Written::Early => {
                self.read(is_head, reply).await?;
                Ok(false)
            }
            // In a TLS record, or a buffer before it, more may have been sent than we know.
            Written::Broken { sent: 0, error } if !self.io.is_tls() => Err(unwritten(error)),
            // It may have said why (413, say) before it closed.
            Written::Broken { error, .. } => match self.read(is_head, reply).await {
                Ok(_) => Ok(false),
                Err(fault) if fault.class == Class::NoReply => {
                    Err(Fault::new(Class::ClosedWriting, error).into())
                }
                Err(fault) => Err(fault.into()),
            },
        }
    }

    /// Whatever can be read where nothing was asked (the end, an error, a 408) makes the connection
    /// useless. The kernel itself is asked, each time, as browsers do: the end may have come right
    /// behind the last answer, and the runtime tells of it only at its next turn.
    async fn was_closed(&mut self) -> bool {
        match self.io.idle() {
            Idle::Silent => {}
            // Has its turn now, for the read below to see the bytes.
            Idle::Bytes if self.io.is_tls() => tokio::task::yield_now().await,
            Idle::Bytes | Idle::Closed => return true,
        }
        let mut byte = [0];
        poll_fn(|cx| {
            let read = Pin::new(&mut self.io).poll_read(cx, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_ready())
        })
        .await
    }

    async fn write(&mut self, request: &[u8]) -> Written {
        let mut sent = 0;
        let written = poll_fn(|cx| {
            while sent < request.len() {
                match Pin::new(&mut self.io).poll_write(cx, &request[sent..])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(length) => sent += length,
                    Poll::Pending => {
                        return match ready!(self.poll_fill(cx))? {
                            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                            _ => Poll::Ready(Ok(false)),
                        };
                    }
                }
            }
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            Poll::Ready(Ok(true))
        });
        match written.await {
            Ok(true) => Written::All,
            Ok(false) => Written::Early,
            Err(error) => Written::Broken { sent, error },
        }
    }

    async fn read(&mut self, is_head: bool, reply: &mut Reply) -> Result<bool, Fault> {
        let Head { mut framing, keep_alive, .. } = self.read_head(is_head, reply).await?;
        loop {
            self.used += framing.take(&self.buffer[self.used..self.filled], reply)?;
            if framing.is_done() {
                break;
            }
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(0) if framing.ends_by_close() => return Ok(false),
                Ok(0) => return Err(Fault::new(Class::HalfReply, "closed in the body")),
                Ok(_) => {}
                Err(error) => return Err(Fault::new(Class::HalfReply, error)),
            }
        }
        if self.used != self.filled {
            return Err(Fault::new(Class::BadReply, "bytes follow the answer"));
        }
        Ok(keep_alive)
    }

    /// Interim answers (1xx) are skipped.
    async fn read_head(&mut self, is_head: bool, reply: &mut Reply) -> Result<Head, Fault> {
        loop {
            let unused = &self.buffer[self.used..self.filled];
            if let Some(head) = head::parse(unused, is_head, reply)? {
                self.used += head.length;
                if !head.is_interim {
                    return Ok(head);
                }
                continue;
            }
            let (class, part) = match unused.len() {
                0 => (Class::NoReply, "before the answer"),
                BUFFER => {
                    return Err(Fault::new(Class::BadReply, "the head of the answer is too long"));
                }
                _ => (Class::HalfReply, "in the head of the answer"),
            };
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(0) => return Err(Fault::new(class, format_args!("closed {part}"))),
                Ok(_) => {}
                Err(error) => return Err(Fault::new(class, format_args!("{error} {part}"))),
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        if self.used > 0 {
            self.buffer.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
        }
        let mut room = ReadBuf::new(&mut self.buffer[self.filled..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
        let length = room.filled().len();
        self.filled += length;
        Poll::Ready(Ok(length))
    }
}

fn unwritten(cause: impl std::fmt::Display) -> Lost {
    Lost::Unprocessed(Fault::new(Class::ClosedUnwritten, cause))
}
