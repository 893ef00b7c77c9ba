//! What is kept of an answer: the status, the id of what was made, and as much of the body as is
//! looked at.

use std::borrow::Cow;

use super::text::find;

/// An id stands near the beginning of a body.
const ID_WITHIN: usize = 4096;
/// Of a wrong answer, so much is shown.
const SHOWN: usize = 200;

#[derive(Default)]
pub struct Reply {
    pub status: u16,
    pub location: Vec<u8>,
    pub body: Vec<u8>,
    keep: usize,
}

impl Reply {
    /// Cleared for the next answer; its memory is used again.
    pub fn reset(&mut self, whole_body: bool, id: bool) {
        self.status = 0;
        self.location.clear();
        self.body.clear();
        self.keep = match (whole_body, id) {
            (true, _) => usize::MAX,
            (false, true) => ID_WITHIN,
            (false, false) => SHOWN,
        };
    }

    pub fn push(&mut self, chunk: &[u8]) {
        let room = self.keep.saturating_sub(self.body.len());
        self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// The beginning of the body, for people.
    pub fn shown(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)])
    }

    /// The last part of `Location`, else the first `"id"` in the body; empty if there is none.
    pub fn id(&self) -> &str {
        let id = match self.location.rsplit(|&c| c == b'/').next() {
            Some(last) if !last.is_empty() => last,
            _ => json_id(&self.body).unwrap_or_default(),
        };
        let is_plain = id.iter().all(|c| c.is_ascii_graphic());
        std::str::from_utf8(id).ok().filter(|_| is_plain).unwrap_or_default()
    }
}

fn json_id(body: &[u8]) -> Option<&[u8]> {
    let key = b"\"id\"";
    let rest = body[find(body, key)? + key.len()..]
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start();
    let (value, end): (&[u8], fn(&u8) -> bool) = match rest.strip_prefix(b"\"") {
        Some(text) => (text, |&c| c == b'"'),
        None => (rest, |c| !c.is_ascii_alphanumeric()),
    };
    Some(&value[..value.iter().position(end)?])
}
