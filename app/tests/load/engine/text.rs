//! The unique number of a request, and texts in which it stands.

use std::fmt;

/// Every number is of this length, so a request's Content-Length never changes and its bytes are
/// made once.
const LENGTH: usize = 20;
const HOLE: &[u8] = b"{n}";

/// `r`, the run in 8 hex digits, `-`, the sequence in 10 digits: `r4f9c2a1b-0000000123`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number([u8; LENGTH]);

impl Number {
    pub fn new(run: u32, sequence: u64) -> Self {
        let mut text = *b"r00000000-0000000000";
        let (mut run, mut sequence) = (run, sequence);
        for digit in text[1..9].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(run % 16) as usize];
            run /= 16;
        }
        for digit in text[10..].iter_mut().rev() {
            *digit = b'0' + (sequence % 10) as u8;
            sequence /= 10;
        }
        Self(text)
    }

    /// The numbers that stand anywhere in a line, in order, repeated ones too.
    pub fn find_in(line: &[u8]) -> impl Iterator<Item = Self> {
        line.windows(LENGTH).filter_map(Self::read)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let is_number = text[0] == b'r'
            && text[9] == b'-'
            && text[1..9].iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
            && text[10..].iter().all(u8::is_ascii_digit);
        is_number.then(|| Self(text.try_into().expect("a window of this length")))
    }

    pub fn run(&self) -> &[u8] {
        &self.0[..9]
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).expect("only ASCII was written"))
    }
}

/// Bytes that are ready to be sent but for the number in its places.
#[derive(Clone, Debug)]
pub struct Text {
    bytes: Vec<u8>,
    holes: Vec<usize>,
}

impl Text {
    pub fn new(template: &[u8]) -> Self {
        let (mut bytes, mut holes) = (Vec::with_capacity(template.len() + LENGTH), Vec::new());
        let mut rest = template;
        while let Some(at) = find(rest, HOLE) {
            bytes.extend_from_slice(&rest[..at]);
            holes.push(bytes.len());
            bytes.extend_from_slice(&[b'0'; LENGTH]);
            rest = &rest[at + HOLE.len()..];
        }
        bytes.extend_from_slice(rest);
        Self { bytes, holes }
    }

    pub fn fill(&mut self, number: &Number) -> &[u8] {
        for &hole in &self.holes {
            self.bytes[hole..hole + LENGTH].copy_from_slice(&number.0);
        }
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_unique(&self) -> bool {
        !self.holes.is_empty()
    }

    /// Puts another text behind this one.
    pub fn append(&mut self, other: &Self) {
        let shift = self.bytes.len();
        self.holes.extend(other.holes.iter().map(|hole| hole + shift));
        self.bytes.extend_from_slice(&other.bytes);
    }
}

pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}
