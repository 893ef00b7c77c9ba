//! A slot's unix socket, whose connections wake their worker only for what it waits for.
//!
//! tokio's own stream asks the kernel about both directions from the start. A unix socket says that
//! there is room to write each time its peer has read something: every reply would wake its worker
//! once more, for nothing, when nginx has read it.

use std::{
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::net::UnixListener},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{SendFlags, Shutdown, SocketFlags, accept_with, send, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// Bytes of one read: a head, or a part of a body.
const READ: usize = 8192;

pub struct Listening(AsyncFd<OwnedFd>);

impl Listening {
    pub fn new(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        watch(listener.into(), Interest::READABLE).map(Self)
    }

    pub async fn accept(&self) -> io::Result<Stream> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = |listener: &OwnedFd| Ok(accept_with(listener, flags)?);
        Stream::new(self.0.async_io(Interest::READABLE, accept).await?)
    }
}

pub struct Stream {
    reading: AsyncFd<OwnedFd>,
    /// The same socket, asked about room: from the first write on that had to wait for some.
    writing: Option<AsyncFd<OwnedFd>>,
}

impl Stream {
    /// Of a socket that does not block.
    fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { reading: watch(socket, Interest::READABLE)?, writing: None })
    }
}

#[expect(unsafe_code, reason = "tokio cannot see that the descriptor stays open and the same")]
fn watch(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` has one descriptor for life, and closes it only when it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.reading.poll_read_ready(context))?;
            // Not into the buffer itself, whose whole room would have to be zeroed first.
            let mut room = [MaybeUninit::uninit(); READ];
            let room = &mut room[..buffer.remaining().min(READ)];
            let wanted = room.len();
            match ready.try_io(|socket| Ok(rustix::io::read(socket, &mut *room)?.0)) {
                Ok(Ok(read)) => {
                    // Less than there was room for: that was all, and epoll announces what comes
                    // next. It saves the read that would only say so. (File descriptors, sent
                    // along, would also cut a read short; a peer that does that waits.)
                    if !read.is_empty() && read.len() < wanted {
                        ready.clear_ready();
                    }
                    buffer.put_slice(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |socket: &AsyncFd<OwnedFd>| Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
        loop {
            if let Some(writing) = &self.writing {
                let mut ready = ready!(writing.poll_write_ready(context))?;
                if let Ok(done) = ready.try_io(write) {
                    return Poll::Ready(done);
                }
                continue;
            }
            match write(&self.reading) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // epoll knows a socket by its descriptor: a second interest takes a second one.
                    let socket = self.reading.get_ref().try_clone()?;
                    self.writing = Some(watch(socket, Interest::WRITABLE)?);
                }
                done => return Poll::Ready(done),
            }
        }
    }

    /// Called when all is written: then nobody asks about room any more.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(&self.reading, Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        (Stream::new(ours.into()).expect("a runtime"), theirs)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_write_without_room_waits_for_the_reader_and_loses_nothing() {
        let (mut ours, mut theirs) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).map(|_| got)
        });
        ours.write_all(&sent).await.expect("a reader");
        assert!(ours.writing.is_some(), "there was room for all of it");
        ours.flush().await.expect("a reader");
        assert!(ours.writing.is_none(), "the second descriptor is given back");
        ours.shutdown().await.expect("a reader");
        assert!(reader.join().expect("no panic").expect("a writer") == sent);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_comes_later_and_the_end_are_read_too() {
        let (mut ours, mut theirs) = pair();
        let mut got = [0; 8];
        for word in ["a", "bc", "def"] {
            let (words, late) = (word.to_owned(), std::time::Duration::from_millis(5));
            let writer = std::thread::spawn(move || {
                std::thread::sleep(late);
                theirs.write_all(words.as_bytes()).map(|()| theirs)
            });
            assert_eq!(ours.read(&mut got).await.expect("a writer"), word.len());
            assert_eq!(&got[..word.len()], word.as_bytes());
            theirs = writer.join().expect("no panic").expect("a reader");
        }
        theirs.write_all(b"last").expect("a reader");
        drop(theirs);
        assert_eq!(ours.read(&mut got).await.expect("a writer"), 4);
        assert_eq!(ours.read(&mut got).await.expect("the end"), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_read_of_just_the_room_there_was_is_followed_by_the_next() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[1; READ]).expect("a reader");
        let mut got = vec![0; 2 * READ];
        assert_eq!(ours.read(&mut got).await.expect("a writer"), READ);
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            theirs.write_all(&[2; READ + 1]).map(|()| theirs)
        });
        ours.read_exact(&mut got[..=READ]).await.expect("a writer");
        assert!(got[..=READ].iter().all(|byte| *byte == 2));
        drop(writer.join());
        assert_eq!(ours.read(&mut got).await.expect("the end"), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_peer_that_goes_ends_a_write_that_waits_for_room() {
        let (mut ours, theirs) = pair();
        let gone = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            drop(theirs);
        });
        ours.write_all(&vec![0; 4_000_000]).await.expect_err("nobody reads");
        gone.join().expect("no panic");
    }
}
