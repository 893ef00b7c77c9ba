//! Files of a zip archive as they are in it: a DEFLATE stream needs only another frame to be a gzip file, which browsers
//! unpack, so that nothing here has to.

/// The first file whose name ends so (APPNOTE.TXT section 4.3.7, RFC 1952 section 2.3).
pub fn gzip(mut archive: &[u8], name: &str) -> Option<Vec<u8>> {
    const DEFLATE: usize = 8;
    while archive.starts_with(b"PK\x03\x04") {
        let number = |at: usize, bytes: usize| {
            let field = archive.get(at..at + bytes)?;
            Some(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
        };
        let (method, packed) = (number(8, 2)?, number(18, 4)?);
        let (names, extra) = (30 + number(26, 2)?, number(28, 2)?);
        let begin = names + extra;
        let stream = archive.get(begin..begin + packed)?;
        if archive.get(30..names)?.ends_with(name.as_bytes()) && method == DEFLATE {
            let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
            // The checksum and the size of what is packed, in the same form as in the archive.
            let (checksum, size) = (archive.get(14..18)?, archive.get(22..26)?);
            return Some([&head, stream, checksum, size].concat());
        }
        archive = archive.get(begin + packed..)?;
    }
    None
}
