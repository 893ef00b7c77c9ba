//! The ways in which a request fails.

use std::borrow::Cow;
use std::fmt::Display;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Refused, no such socket, unreachable.
    Connect,
    ConnectTimeout,
    /// Handshake, certificate or protocol choice.
    Tls,
    /// This machine ran out of files or ports: says nothing about the server.
    Client,
    /// The server closed a new connection before anything was written.
    ClosedUnwritten,
    /// Writing broke off: the server may have seen a part.
    ClosedWriting,
    /// Written in full on a new connection, then closed or reset without a byte of answer.
    NoReply,
    /// The same on a connection that had been idle before.
    NoReplyReused,
    /// The answer broke off.
    HalfReply,
    /// The answer is not HTTP, or not what its head says.
    BadReply,
    Timeout,
    /// HTTP/2: the server said that it did not process the request (counted here after several
    /// tries, or with `strict`) …
    GoAway,
    /// … or refused the stream, which says the same.
    RefusedStream,
    /// HTTP/2: the server reset the stream for another reason.
    StreamReset,
    Status(u16),
    /// The right status, but not the right body.
    Body,
    /// Open loop: its time came, but no connection was free within the timeout.
    NotStarted,
    /// The run was ended before the answer came.
    Interrupted,
}

impl Class {
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Client => "client_limit",
            Self::ClosedUnwritten => "closed_unwritten",
            Self::ClosedWriting => "closed_writing",
            Self::NoReply => "no_reply",
            Self::NoReplyReused => "no_reply_reused",
            Self::HalfReply => "half_reply",
            Self::BadReply => "bad_reply",
            Self::Timeout => "timeout",
            Self::GoAway => "goaway",
            Self::RefusedStream => "refused_stream",
            Self::StreamReset => "stream_reset",
            Self::Body => "body",
            Self::NotStarted => "not_started",
            Self::Interrupted => "interrupted",
            Self::Status(status) => return Cow::Owned(format!("status_{status}")),
        })
    }
}

#[derive(Debug)]
pub struct Fault {
    pub class: Class,
    /// The cause in its own words; the report shows the first of each class.
    pub detail: String,
}

impl Fault {
    pub fn new(class: Class, detail: impl Display) -> Self {
        Self { class, detail: detail.to_string() }
    }
}

/// How an attempt at a request ended without an answer.
#[derive(Debug)]
pub enum Lost {
    Failed(Fault),
    /// The server has certainly not processed it: it may be sent anew without the risk of doing it
    /// twice.
    Unprocessed(Fault),
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}
