//! Asks a slot who it is and how it is, over its socket.

use std::{io, path::Path, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::life::Phase;

const REQUEST: &[u8] =
    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The part of `/health/ready` that says whose answer it is.
#[derive(Debug, Deserialize)]
pub struct Answer {
    pub state: String,
    pub slot: Option<String>,
    pub instance: String,
}

impl Answer {
    pub fn is_draining(&self) -> bool {
        self.state == word(Phase::Draining)
    }
}

/// The phase as `/health/ready` tells it.
pub fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining | Phase::Closing | Phase::Ended => "draining",
    }
}

pub async fn ask(socket: &Path, patience: Duration) -> io::Result<Answer> {
    tokio::time::timeout(patience, exchange(socket))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn exchange(socket: &Path) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(REQUEST).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    let body = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(&[][..], |end| &reply[end + 4..]);
    serde_json::from_slice(body).map_err(io::Error::other)
}
