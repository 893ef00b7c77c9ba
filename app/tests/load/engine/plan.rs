//! What is to be sent, where to, and how fast.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::bearer::Bearer;
use super::connect::Target;
use super::text::Text;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1, connections kept alive.
    Http1,
    /// HTTP/1.1, a new connection for each request.
    Http1Close,
    /// HTTP/2, several streams a connection.
    Http2,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http1Close => "h1-close",
            Self::Http2 => "h2",
        }
    }
}

pub struct Plan {
    /// Makes the numbers of this run differ from those of every other.
    pub run: u32,
    pub target: Target,
    pub protocol: Protocol,
    pub connections: usize,
    /// Streams at once on each HTTP/2 connection.
    pub streams: usize,
    pub threads: usize,
    /// Ends after so many requests …
    pub count: Option<u64>,
    /// … or after this time, whichever comes first.
    pub seconds: Option<Duration>,
    /// Requests a second, sent whether or not the answers keep up; without it, each connection or
    /// stream sends its next request when it has the answer to its last.
    pub rate: Option<f64>,
    pub timeout: Duration,
    /// How long a connection or stream waits after a failure of the connection.
    pub pause: Duration,
    /// Requests which the server said it did not process are failures, too.
    pub strict: bool,
    pub requests: Vec<Request>,
    pub headers: Vec<Header>,
    pub bearer: Option<Bearer>,
    pub ledger: Option<PathBuf>,
}

impl Plan {
    pub fn new(target: Target, requests: Vec<Request>) -> Self {
        Self {
            run: random(),
            target,
            protocol: Protocol::Http1,
            connections: 1,
            streams: 1,
            threads: 1,
            count: None,
            seconds: None,
            rate: None,
            timeout: Duration::from_secs(30),
            pause: Duration::ZERO,
            strict: false,
            requests,
            headers: Vec::new(),
            bearer: None,
            ledger: None,
        }
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header.name == name)
    }

    /// Which request comes when: each as often as its weight says, and spread evenly.
    pub fn schedule(&self) -> Vec<usize> {
        let total: i64 = self.requests.iter().map(|request| i64::from(request.weight)).sum();
        let mut credit = vec![0; self.requests.len()];
        let next = |_| {
            for (credit, request) in credit.iter_mut().zip(&self.requests) {
                *credit += i64::from(request.weight);
            }
            let most = (0..credit.len()).rev().max_by_key(|&i| credit[i]).unwrap_or(0);
            credit[most] -= total;
            most
        };
        (0..total).map(next).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Header {
    pub name: HeaderName,
    pub value: Text,
}

impl Header {
    /// Reads `Name: value`; the value may hold `{n}`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (name, value) =
            line.split_once(':').ok_or_else(|| format!("{line:?} is not `Name: value`"))?;
        let name = name.trim().parse().map_err(|error| format!("header {name:?}: {error}"))?;
        HeaderValue::from_str(value.trim())
            .map_err(|error| format!("header {value:?}: {error}"))?;
        Ok(Self { name, value: Text::new(value.trim().as_bytes()) })
    }
}

/// One kind of request, and what counts as its right answer.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub body: Text,
    pub is_json: bool,
    pub weight: u32,
    /// Empty: any 2xx.
    pub expect_status: Vec<u16>,
    /// The answer's body must contain it.
    pub expect_body: Option<Text>,
}

impl Request {
    /// Reads `[WEIGHTx] METHOD PATH [BODY]`, as in `3x POST /api/v1/notes {"title":"{n}"}`; a body
    /// `@FILE` is read from the file.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (first, rest) = word(line);
        let weight = first.strip_suffix('x').and_then(|number| number.parse().ok());
        let (method, rest) = if weight.is_some() { word(rest) } else { (first, rest) };
        let (path, body) = word(rest);
        let method = method
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| format!("{method:?} is not a method"))?;
        Self::new(method, path, body, weight.unwrap_or(1))
    }

    pub fn new(method: Method, path: &str, body: &str, weight: u32) -> Result<Self, String> {
        if !path.starts_with('/') || path.bytes().any(|c| c <= b' ' || c >= 127) {
            return Err(format!("{path:?} is not a path: it starts with / and holds no blank"));
        }
        if weight == 0 || weight > 1000 {
            return Err(format!("the weight {weight} is not between 1 and 1000"));
        }
        let body = match body.strip_prefix('@') {
            Some(file) => std::fs::read(file).map_err(|error| format!("{file}: {error}"))?,
            None => body.as_bytes().to_vec(),
        };
        Ok(Self {
            method,
            path: path.to_owned(),
            is_json: matches!(body.first(), Some(b'{' | b'[')),
            body: Text::new(&body),
            weight,
            expect_status: Vec::new(),
            expect_body: None,
        })
    }

    /// Methods whose requests say how long their body is, even if there is none.
    pub fn has_length(&self) -> bool {
        self.body.len() > 0 || [Method::POST, Method::PUT, Method::PATCH].contains(&self.method)
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    u32::from_ne_bytes(bytes)
}
