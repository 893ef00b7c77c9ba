//! HTTP/1.1 by hand, where a test must see the connection itself.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

pub struct Connection {
    stream: UnixStream,
    /// Read, and not yet taken.
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A failure in its one shape, or the test ends here.
    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["code"].is_string() && problem["title"].is_string(), "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(self.header("cache-control").unwrap().contains("no-store"), "{self:?}");
        problem
    }
}

impl Connection {
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    /// One exchange; `head` is whole lines, each with its end.
    pub fn exchange(&mut self, line: &str, head: &str, body: &[u8]) -> io::Result<Reply> {
        let length = match body {
            [] if !line.starts_with("P") => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{head}{length}\r\n");
        self.send(&[head.as_bytes(), body].concat())?;
        self.receive(line.starts_with("HEAD "))
    }

    pub fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.exchange(&format!("GET {path}"), "", b"")
    }

    pub fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> io::Result<Reply> {
        self.exchange(&format!("POST {path}"), &format!("Content-Type: {kind}\r\n"), body)
    }

    pub fn receive(&mut self, without_body: bool) -> io::Result<Reply> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut reply = Reply { status: status.unwrap_or(0), head, body: Vec::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.filter(|_| !without_body).unwrap_or(0);
        while self.buffer.len() < end + length {
            self.more()?;
        }
        reply.body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Ok(reply)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}
