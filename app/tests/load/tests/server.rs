//! Servers for the tests, each on a unix socket and a thread of its own.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub struct Server {
    folder: TempDir,
    seen: Arc<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    bodies: Mutex<Vec<String>>,
}

impl Seen {
    fn note(&self, body: &str) {
        self.bodies.lock().expect("no holder panics").push(body.to_owned());
    }
}

impl Server {
    /// Each connection is handled by the script, which is told the connection's number from 0.
    pub fn script<F: Future<Output = ()> + 'static>(
        script: impl Fn(Peer, usize) -> F + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener =
            std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("a socket");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let seen = Arc::<Seen>::default();
        let server = Self { folder, seen: seen.clone() };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = UnixListener::from_std(listener).expect("in a runtime");
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    let number = seen.connections.fetch_add(1, SeqCst);
                    spawn_local(script(Peer::new(stream, seen.clone()), number));
                }
            });
        });
        server
    }

    /// Answers every HTTP/1.1 request by 201 and its body, and tells the connection's number from
    /// 0.
    pub fn echo() -> Self {
        Self::script(|peer, _| peer.echo())
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// The bodies of all requests that arrived whole, in their order.
    pub fn bodies(&self) -> Vec<String> {
        self.seen.bodies.lock().expect("no holder panics").clone()
    }
}

/// One connection, seen from the server.
pub struct Peer<S = UnixStream> {
    pub stream: S,
    read: Vec<u8>,
    seen: Arc<Seen>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Peer<S> {
    fn new(stream: S, seen: Arc<Seen>) -> Self {
        Self { stream, read: Vec::new(), seen }
    }

    /// The same, over TLS.
    pub async fn accept(self, acceptor: TlsAcceptor) -> io::Result<Peer<TlsStream<S>>> {
        Ok(Peer::new(acceptor.accept(self.stream).await?, self.seen))
    }

    /// Reads one whole HTTP/1.1 request and gives its body; None at the end.
    pub async fn request(&mut self) -> Option<String> {
        loop {
            if let Some((head, length)) = self.measure()
                && self.read.len() >= head + length
            {
                let body = self.read.drain(..head + length).skip(head).collect();
                let body = String::from_utf8(body).expect("text");
                self.seen.note(&body);
                return Some(body);
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn measure(&self) -> Option<(usize, usize)> {
        let head = self.read.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.read[..head]).to_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        Some((head, length.unwrap_or(0)))
    }

    /// Reads one request without a body, and gives its head.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            if let Some((head, _)) = self.measure() {
                let text = String::from_utf8_lossy(&self.read[..head]).into_owned();
                self.read.drain(..head);
                return Some(text);
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        // The client may be gone, as it may in life.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    pub async fn answer(&mut self, status: &str, body: &str) {
        self.say(&format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
            .await;
    }

    /// Waits until the client closes.
    pub async fn hold(mut self) {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    }

    pub async fn echo(mut self) {
        while let Some(body) = self.request().await {
            self.answer("201 Created", &body).await;
        }
    }

    /// Serves HTTP/2 by hyper, and gives each request's body to the handler.
    pub async fn http2<F: Future<Output = Response<Full<Bytes>>>>(
        self,
        streams: u32,
        handler: impl Fn(String) -> F + Clone + 'static,
    ) {
        self.http2_until(pending(), streams, handler).await;
    }

    /// The same, until it ends gracefully.
    pub async fn http2_until<F: Future<Output = Response<Full<Bytes>>>>(
        self,
        end: impl Future<Output = ()>,
        streams: u32,
        handler: impl Fn(String) -> F + Clone + 'static,
    ) {
        let seen = self.seen;
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, seen) = (handler.clone(), seen.clone());
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                let body = String::from_utf8(body.to_vec()).expect("text");
                seen.note(&body);
                Ok::<_, hyper::Error>(handler(body).await)
            }
        });
        let mut serving = pin!(
            hyper::server::conn::http2::Builder::new(Local)
                .max_concurrent_streams(streams)
                .serve_connection(TokioIo::new(self.stream), service)
        );
        let over = tokio::select! {
            // An error is the client's, which the test sees for itself.
            _ = &mut serving => true,
            () = end => false,
        };
        if !over {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

#[derive(Clone)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(async { drop(future.await) });
    }
}

pub fn created(body: String) -> Response<Full<Bytes>> {
    Response::builder().status(201).body(Full::new(body.into())).expect("a response")
}
