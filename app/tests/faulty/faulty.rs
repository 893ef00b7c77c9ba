//! Stands in for `roadstead` in a release that is bad on purpose; the real one is beside it.
//!
//! FAULT says how: `migrate` (a migration fails), `never-ready`, `crash:SECONDS` (after its start),
//! `errors:PERCENT` (of its answers are 500), `slow:MILLISECONDS` (each answer comes so much later).
//! All else is the real program's, and so is the server around `errors` and `slow`: the fault is on
//! the socket.

use std::{
    io,
    os::unix::{net::UnixListener, process::CommandExt},
    pin::Pin,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use roadstead::{
    config::Settings,
    server::{
        production, signals,
        workers::{Accept, Listener},
    },
    telemetry,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{self, UnixStream},
    time::Sleep,
};

const REAL: &str = "/roadstead-real";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let fault = std::env::var("FAULT").unwrap_or_default();
    let (kind, amount) = fault.split_once(':').unwrap_or((&fault, "0"));
    let amount = amount.parse().expect("FAULT: a whole number");
    match (kind, words.as_slice()) {
        ("migrate", ["migrate"]) => {
            eprintln!("roadstead: 0099_boats.sql, line 3: a fault on purpose");
            std::process::exit(1);
        }
        ("never-ready", ["serve"]) => {
            signals::install().expect("signals");
            eprintln!("waiting for what never comes, on purpose");
            loop {
                thread::park();
            }
        }
        ("crash", ["serve"]) => {
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(amount));
                eprintln!("a crash on purpose");
                std::process::abort();
            });
            serve(Faults::default());
        }
        ("errors", ["serve"]) => serve(Faults { percent: amount as usize, ..Faults::default() }),
        ("slow", ["serve"]) => {
            serve(Faults { pause: Duration::from_millis(amount), ..Faults::default() });
        }
        _ => panic!("{REAL}: {}", Command::new(REAL).args(words).exec()),
    }
}

fn serve(faults: Faults) {
    signals::install().expect("signals");
    let settings = Settings::load().expect("settings");
    telemetry::logs::install(&settings.log);
    if let Err(error) =
        production::serve_by(settings, |listener| FaultyListener { listener, faults })
    {
        eprintln!("roadstead: {error}");
        std::process::exit(1);
    }
}

#[derive(Clone, Copy, Default)]
struct Faults {
    percent: usize,
    pause: Duration,
}

struct FaultyListener<L> {
    listener: L,
    faults: Faults,
}

impl Listener for FaultyListener<UnixListener> {
    type Async = FaultyListener<net::UnixListener>;

    fn share(&self) -> io::Result<Self> {
        Ok(Self { listener: self.listener.try_clone()?, faults: self.faults })
    }

    fn into_async(self) -> io::Result<Self::Async> {
        self.listener.set_nonblocking(true)?;
        let listener = net::UnixListener::from_std(self.listener)?;
        Ok(FaultyListener { listener, faults: self.faults })
    }
}

impl Accept for FaultyListener<net::UnixListener> {
    type Stream = FaultyStream;

    async fn accept(&self) -> io::Result<FaultyStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(FaultyStream { stream, faults: self.faults, spared: false, pause: None })
    }
}

struct FaultyStream {
    stream: UnixStream,
    faults: Faults,
    /// A health check is asking: it is to notice nothing.
    spared: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl FaultyStream {
    fn is_bad(&self) -> bool {
        static ANSWERS: AtomicUsize = AtomicUsize::new(0);
        let percent = self.faults.percent;
        let before = ANSWERS.fetch_add(1, Ordering::Relaxed);
        (before + 1) * percent / 100 > before * percent / 100
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.spared = buffer.filled()[known..].starts_with(b"GET /health/");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        const GOOD: &[u8] = b"HTTP/1.1 2";
        if self.spared || !data.starts_with(GOOD) {
            return Pin::new(&mut self.stream).poll_write(context, data);
        }
        if !self.faults.pause.is_zero() {
            let pause = self.faults.pause;
            let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            ready!(sleep.as_mut().poll(context));
        }
        let written = if self.is_bad() {
            let mut bad = data.to_vec();
            bad[GOOD.len() - 1] = b'5';
            Pin::new(&mut self.stream).poll_write(context, &bad)
        } else {
            Pin::new(&mut self.stream).poll_write(context, data)
        };
        if written.is_ready() {
            self.pause = None;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
