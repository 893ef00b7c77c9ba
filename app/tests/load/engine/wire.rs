//! Requests made ready once for each worker, so that sending one means to write the number into its
//! places.

use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Uri, Version};

use super::plan::{Plan, Protocol, Request};
use super::text::{Number, Text};

const AGENT: &str = "roadstead-load";

/// Made anew when the bearer tokens change; a worker that never sends (an idle connection) makes
/// none.
pub struct Ready<T> {
    worker: usize,
    edition: u64,
    requests: Vec<Option<T>>,
}

pub trait Prepare {
    fn prepare(plan: &Plan, request: &Request, worker: usize) -> Self;
}

impl<T: Prepare> Ready<T> {
    pub fn new(worker: usize) -> Self {
        Self { worker, edition: 0, requests: Vec::new() }
    }

    pub fn get(&mut self, plan: &Plan, request: usize) -> &mut T {
        let edition = plan.bearer.as_ref().map_or(1, |bearer| bearer.edition());
        if edition != self.edition {
            self.edition = edition;
            self.requests.clear();
            self.requests.resize_with(plan.requests.len(), || None);
        }
        self.requests[request]
            .get_or_insert_with(|| T::prepare(plan, &plan.requests[request], self.worker))
    }
}

/// HTTP/1.1: head and body in one piece.
pub struct Bytes1(Text);

impl Bytes1 {
    pub fn fill(&mut self, number: &Number) -> &[u8] {
        self.0.fill(number)
    }
}

impl Prepare for Bytes1 {
    fn prepare(plan: &Plan, request: &Request, worker: usize) -> Self {
        let mut head =
            Text::new(format!("{} {} HTTP/1.1\r\n", request.method, request.path).as_bytes());
        if !plan.has_header("host") {
            head.append(&Text::new(format!("Host: {}\r\n", plan.target.authority).as_bytes()));
        }
        for (name, value) in headers(plan, request, worker) {
            head.append(&Text::new(format!("{name}: ").as_bytes()));
            head.append(&value);
            head.append(&Text::new(b"\r\n"));
        }
        if request.has_length() {
            head.append(&Text::new(
                format!("Content-Length: {}\r\n", request.body.len()).as_bytes(),
            ));
        }
        if plan.protocol == Protocol::Http1Close {
            head.append(&Text::new(b"Connection: close\r\n"));
        }
        head.append(&Text::new(b"\r\n"));
        head.append(&request.body);
        Self(head)
    }
}

/// HTTP/2: the head as the h2 crate wants it.
pub struct Request2 {
    head: hyper::Request<()>,
    /// The places in the head where the number goes, if any.
    uri: Option<Text>,
    headers: Vec<(HeaderName, Text)>,
    body: Text,
}

impl Request2 {
    pub fn fill(&mut self, number: &Number) -> (hyper::Request<()>, Bytes) {
        let mut head = self.head.clone();
        if let Some(uri) = &mut self.uri {
            *head.uri_mut() =
                Uri::try_from(uri.fill(number)).expect("it was one with zeros for the number");
        }
        for (name, value) in &mut self.headers {
            let value =
                HeaderValue::from_bytes(value.fill(number)).expect("checked when it was read");
            head.headers_mut().append(name.clone(), value);
        }
        (head, Bytes::copy_from_slice(self.body.fill(number)))
    }
}

impl Prepare for Request2 {
    fn prepare(plan: &Plan, request: &Request, worker: usize) -> Self {
        let mut authority = plan.target.authority.clone();
        let (mut map, mut unique) = (HeaderMap::new(), Vec::new());
        for (name, mut value) in headers(plan, request, worker) {
            let fixed = HeaderValue::from_bytes(value.fill(&Number::new(0, 0)))
                .expect("checked when it was read");
            if name == HOST {
                authority = String::from_utf8_lossy(fixed.as_bytes()).into_owned();
            } else if value.is_unique() {
                unique.push((name, value));
            } else {
                map.append(name, fixed);
            }
        }
        let scheme = if plan.target.is_tls() { "https" } else { "http" };
        let mut uri = Text::new(format!("{scheme}://{authority}{}", request.path).as_bytes());
        let mut head = hyper::Request::new(());
        *head.version_mut() = Version::HTTP_2;
        *head.method_mut() = request.method.clone();
        *head.uri_mut() =
            Uri::try_from(uri.fill(&Number::new(0, 0))).expect("authority and path were checked");
        *head.headers_mut() = map;
        Self {
            head,
            uri: uri.is_unique().then_some(uri),
            headers: unique,
            body: request.body.clone(),
        }
    }
}

/// All but Host's default and what belongs to the connection.
fn headers(plan: &Plan, request: &Request, worker: usize) -> Vec<(HeaderName, Text)> {
    let mut all: Vec<_> =
        plan.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    let mut default = |name: HeaderName, value: &str| {
        if !plan.has_header(name.as_str()) {
            all.push((name, Text::new(value.as_bytes())));
        }
    };
    default(USER_AGENT, AGENT);
    if request.is_json {
        default(CONTENT_TYPE, "application/json");
    }
    if let Some(bearer) = &plan.bearer {
        default(AUTHORIZATION, &bearer.value(worker));
    }
    all
}
