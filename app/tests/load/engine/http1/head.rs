//! The head of an HTTP/1.1 answer, and where its body ends.

use std::mem::MaybeUninit;

use super::super::fault::{Class, Fault};
use super::super::reply::Reply;

const MOST_HEADERS: usize = 128;

pub struct Head {
    pub length: usize,
    pub is_interim: bool,
    pub keep_alive: bool,
    pub framing: Framing,
}

/// None while the head is not complete.
pub fn parse(bytes: &[u8], is_head: bool, reply: &mut Reply) -> Result<Option<Head>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut head,
        bytes,
        &mut headers,
    );
    let length = match parsed.map_err(|error| bad(&error.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = head.code.unwrap_or_default();
    let mut keep_alive = head.version == Some(1);
    let (mut content_length, mut encoding) = (None, None);
    for header in head.headers.iter() {
        let (name, value) = (header.name, header.value);
        if name.eq_ignore_ascii_case("content-length") {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
            let number = number.ok_or_else(|| bad("Content-Length is no number"))?;
            if content_length.replace(number).is_some_and(|other| other != number) {
                return Err(bad("two Content-Length"));
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            encoding = Some(value);
        } else if name.eq_ignore_ascii_case("connection") {
            keep_alive = value.eq_ignore_ascii_case(b"keep-alive")
                || (keep_alive && !value.eq_ignore_ascii_case(b"close"));
        } else if name.eq_ignore_ascii_case("location") {
            reply.location.clear();
            reply.location.extend_from_slice(value);
        }
    }
    let framing = match (encoding, content_length) {
        _ if is_head || matches!(status, 100..=199 | 204 | 304) => Framing::Length(0),
        (Some(_), Some(_)) => return Err(bad("Content-Length and Transfer-Encoding")),
        (Some(encoding), None) if encoding.eq_ignore_ascii_case(b"chunked") => {
            Framing::Chunked(Chunk::Size(None))
        }
        (Some(_), None) => return Err(bad("an unknown Transfer-Encoding")),
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::UntilClose,
    };
    reply.status = status;
    Ok(Some(Head { length, is_interim: (100..200).contains(&status), keep_alive, framing }))
}

fn bad(what: &str) -> Fault {
    Fault::new(Class::BadReply, what)
}

/// What is left of a body.
pub enum Framing {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

pub enum Chunk {
    /// In the line with the size; None before its first digit.
    Size(Option<u64>),
    /// Behind the size, up to the line's end.
    Extension(u64),
    Data(u64),
    /// The line's end behind the data.
    DataEnd,
    /// After the last chunk; whether the line has anything in it.
    Trailer(bool),
    Done,
}

impl Framing {
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    pub fn ends_by_close(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// Takes what belongs to the body, and says how much that was.
    pub fn take(&mut self, bytes: &[u8], reply: &mut Reply) -> Result<usize, Fault> {
        match self {
            Self::UntilClose => {
                reply.push(bytes);
                Ok(bytes.len())
            }
            Self::Length(left) => Ok(take_data(left, bytes, reply)),
            Self::Chunked(chunk) => {
                let mut used = 0;
                while used < bytes.len() && !matches!(chunk, Chunk::Done) {
                    used += chunk.step(&bytes[used..], reply)?;
                }
                Ok(used)
            }
        }
    }
}

impl Chunk {
    fn step(&mut self, bytes: &[u8], reply: &mut Reply) -> Result<usize, Fault> {
        let byte = bytes[0];
        *self = match *self {
            Self::Data(mut left) => {
                let used = take_data(&mut left, bytes, reply);
                *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                return Ok(used);
            }
            Self::Size(size) => match ((byte as char).to_digit(16), size) {
                (Some(digit), _) if size.unwrap_or(0) < 1 << 56 => {
                    Self::Size(Some(size.unwrap_or(0) * 16 + u64::from(digit)))
                }
                (None, Some(size)) if matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    Self::Extension(size)
                }
                _ => return Err(bad("a chunk without a size")),
            },
            Self::Extension(0) if byte == b'\n' => Self::Trailer(false),
            Self::Extension(size) if byte == b'\n' => Self::Data(size),
            Self::Extension(size) => Self::Extension(size),
            Self::DataEnd => match byte {
                b'\r' => Self::DataEnd,
                b'\n' => Self::Size(None),
                _ => return Err(bad("a chunk longer than its size")),
            },
            Self::Trailer(false) if byte == b'\n' => Self::Done,
            Self::Trailer(filled) => Self::Trailer(byte != b'\n' && (filled || byte != b'\r')),
            Self::Done => return Ok(0),
        };
        Ok(1)
    }
}

fn take_data(left: &mut u64, bytes: &[u8], reply: &mut Reply) -> usize {
    let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    reply.push(&bytes[..length]);
    *left -= length as u64;
    length
}
