//! Files of a zip archive (APPNOTE.TXT section 4.3.7), taken at compile time, so that the program holds these and not the
//! archive. They stay packed: a DEFLATE stream needs only another frame to be a gzip file (RFC 1952 section 2.3).

const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const TAIL: usize = 8;

pub struct Member {
    header: usize,
    stream: usize,
    packed: usize,
}

impl Member {
    /// Of the gzip file.
    pub const fn size(&self) -> usize {
        HEAD.len() + self.packed + TAIL
    }
}

/// The first file whose name ends so.
pub const fn find(archive: &[u8], name: &[u8]) -> Member {
    let mut header = 0;
    loop {
        assert!(number(archive, header, 4) == 0x0403_4b50, "there is no such file in the archive");
        let names_end = header + 30 + number(archive, header + 26, 2);
        let stream = names_end + number(archive, header + 28, 2);
        let packed = number(archive, header + 18, 4);
        if ends_with(archive.split_at(names_end).0, name) {
            assert!(number(archive, header + 8, 2) == 8, "it is not packed by DEFLATE");
            return Member { header, stream, packed };
        }
        header = stream + packed;
    }
}

/// `N` is its size.
pub const fn gzip<const N: usize>(archive: &[u8], member: Member) -> [u8; N] {
    let mut file = [0; N];
    let (head, rest) = file.split_at_mut(HEAD.len());
    head.copy_from_slice(&HEAD);
    let (stream, tail) = rest.split_at_mut(member.packed);
    stream.copy_from_slice(part(archive, member.stream, member.packed));
    let (checksum, size) = tail.split_at_mut(TAIL / 2);
    // In the same form as in the archive.
    checksum.copy_from_slice(part(archive, member.header + 14, 4));
    size.copy_from_slice(part(archive, member.header + 22, 4));
    file
}

const fn part(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    bytes.split_at(at).1.split_at(length).0
}

/// Little-endian.
const fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let (mut number, mut byte) = (0, length);
    while byte > 0 {
        byte -= 1;
        number = number << 8 | bytes[at + byte] as usize;
    }
    number
}

const fn ends_with(bytes: &[u8], end: &[u8]) -> bool {
    let mut count = 0;
    while count < end.len() {
        count += 1;
        if bytes[bytes.len() - count] != end[end.len() - count] {
            return false;
        }
    }
    true
}
