//! Keys, randomness and digests: aws-lc-rs, in the few shapes that we need.

use std::collections::HashSet;

pub use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    digest, hmac,
    rand::{self, SecureRandom as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::config::{ConfigError, Secret};

/// 32 random bytes.
pub struct Key([u8; 32]);

/// Fewer different bytes than any 32 random ones have: what people type when they are asked for a key.
const DIFFERENT_BYTES: usize = 20;

impl Key {
    /// From a setting: base64url of exactly 32 bytes.
    pub fn from_setting(
        setting: &'static str,
        value: Option<&Secret>,
    ) -> Result<Self, ConfigError> {
        let text = value.ok_or_else(|| wrong(setting, NOT_SET))?.expose();
        Self::parse(text).map_err(|problem| wrong(setting, problem))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let bytes = BASE64URL.decode(text).map_err(|_| "must be base64url")?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| "must be 32 bytes")?;
        let different = bytes.iter().collect::<HashSet<_>>().len();
        let is_text = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if different < DIFFERENT_BYTES || is_text { Err("must be random") } else { Ok(Self(bytes)) }
    }

    /// Tells keys apart when one replaces another.
    pub fn id(&self) -> String {
        encode(&sha256(&self.0)[..4])
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Another key, for another purpose.
    pub fn derive(&self, purpose: &[u8]) -> Self {
        Self(self.mac(purpose))
    }

    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message);
        tag.as_ref().try_into().expect("SHA-256 makes 32 bytes")
    }

    /// Compares in constant time.
    pub fn mac_is(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message, tag).is_ok()
    }

    /// Nonce and ciphertext, bound to `context`.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut text = plain.to_vec();
        let nonce = self
            .aead()
            .seal_in_place_append_tag(Aad::from(context), &mut text)
            .expect("a key is shorter than AES-GCM's limit");
        [nonce.as_ref().as_slice(), &text].concat()
    }

    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.aead().open_in_place(nonce, Aad::from(context), &mut text).ok()?;
        Some(plain.to_vec())
    }

    fn aead(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).expect("32 bytes")
    }
}

const NOT_SET: &str = "is not set (or set it by …_FILE)";

fn wrong(setting: &str, problem: &str) -> ConfigError {
    ConfigError {
        setting: setting.into(),
        problem: format!("{problem}; `roadstead init` makes one"),
    }
}

/// Keys for one purpose, of which one replaces another: all are believed, and the newest whose time has come is used
/// for what is new. In order of these times.
pub struct Keys(Vec<KeyLine>);

pub struct KeyLine {
    /// From when on it is used, in seconds since 1970: a key without a time is the first one.
    pub from: i64,
    pub id: String,
    key: Key,
}

impl Keys {
    /// One key a line, `BASE64URL` or `TIME BASE64URL` (RFC 3339).
    pub fn from_setting(setting: &str, value: Option<&Secret>) -> Result<Self, ConfigError> {
        let text = value.ok_or_else(|| wrong(setting, NOT_SET))?.expose();
        Self::parse(text).map_err(|problem| ConfigError {
            setting: setting.into(),
            problem: format!("{problem}; each line is 32 random bytes in base64url, perhaps with a time before them, as `roadstead init` makes it"),
        })
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if !line.trim().is_empty() {
                let line = KeyLine::parse(line);
                lines.push(line.map_err(|problem| format!("line {number} {problem}"))?);
            }
        }
        lines.sort_by_key(|line: &KeyLine| line.from);
        if lines.is_empty() { Err("is empty".into()) } else { Ok(Self(lines)) }
    }

    /// What is used for what is new. Before any key's time has come it is the first one.
    pub fn current(&self, now: i64) -> (&str, &Key) {
        let line = self.0.iter().rfind(|line| line.from <= now).unwrap_or(&self.0[0]);
        (&line.id, &line.key)
    }

    pub fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|line| line.id == id).map(|line| &line.key)
    }

    /// For what was made when keys had no id.
    pub fn oldest(&self) -> &Key {
        &self.0[0].key
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.0.iter().map(|line| (&*line.id, &line.key))
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        let of =
            |keys: &Self| keys.0.iter().map(|line| (line.from, line.key.0)).collect::<Vec<_>>();
        of(self) == of(other)
    }
}

impl KeyLine {
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_whitespace();
        let (from, key) = match (words.next(), words.next(), words.next()) {
            (Some(key), None, _) => (i64::MIN, key),
            (Some(time), Some(key), None) => {
                let time = OffsetDateTime::parse(time, &Rfc3339)
                    .map_err(|_| "must begin with a time such as 2026-01-31T12:00:00Z")?;
                (time.unix_timestamp(), key)
            }
            _ => return Err("must be a key, or a time and a key"),
        };
        let key = Key::parse(key)?;
        Ok(Self { from, id: key.id(), key })
    }
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::SystemRandom::new().fill(&mut bytes).expect("the system's randomness does not end");
    bytes
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 makes 32 bytes")
}

pub fn encode(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn key() -> Key {
        Key(random())
    }

    #[test]
    fn what_is_sealed_opens_only_in_its_context_and_unchanged() {
        let key = Key(random());
        let mut sealed = key.seal(b"kid-1", b"private");
        assert_eq!(key.open(b"kid-1", &sealed).as_deref(), Some(b"private".as_slice()));
        assert_eq!(key.open(b"kid-2", &sealed), None);
        assert_eq!(Key(random()).open(b"kid-1", &sealed), None);
        assert_eq!(key.open(b"kid-1", &sealed[..5]), None);
        sealed[14] ^= 1;
        assert_eq!(key.open(b"kid-1", &sealed), None);
    }

    fn of(text: &str) -> Secret {
        text.to_owned().into()
    }

    #[test]
    fn a_setting_that_is_no_key_is_named() {
        let known = encode(b"ThisIsASecretKeyOfThirtyTwoBytes");
        let repeated = encode(b"\xff\x01\x02\x03\x04\x05\x06\x07".repeat(4).as_slice());
        for text in [
            "",
            "short",
            &"A".repeat(43),
            &("changeme".repeat(5) + "chA"),
            "not base64url!",
            &known,
            &repeated,
        ] {
            let error = Key::from_setting("ROADSTEAD_AUTH__PEPPER", Some(&of(text))).err();
            let error = error.expect(text).to_string();
            assert!(
                error.starts_with("ROADSTEAD_AUTH__PEPPER")
                    && (text.is_empty() || !error.contains(text)),
                "{error}"
            );
        }
        for _ in 0..1000 {
            let good = of(&encode(&random::<32>()));
            assert!(Key::from_setting("ROADSTEAD_AUTH__PEPPER", Some(&good)).is_ok());
        }
    }

    #[test]
    fn the_newest_key_whose_time_has_come_is_used_and_all_are_found() {
        let [first, second, third] = [(); 3].map(|()| encode(&random::<32>()));
        let id = |text: &str| Key::parse(text).expect("32 bytes").id();
        let text = format!(
            "1970-01-01T00:03:20Z {third}\n{first}\n\n1970-01-01T01:01:40+01:00 {second}\r\n"
        );
        let keys = Keys::from_setting("TEST", Some(&of(&text))).expect("three keys");
        for (now, current) in
            [(0, &first), (99, &first), (100, &second), (199, &second), (200, &third)]
        {
            assert_eq!(keys.current(now).0, id(current), "at {now}");
        }
        assert_eq!(keys.oldest().id(), id(&first));
        for text in [&first, &second, &third] {
            assert_eq!(keys.find(&id(text)).expect("known").id(), id(text));
        }
        assert!(keys.find("another").is_none());

        let later = Keys::parse(&format!("2999-01-01T00:00:00Z {first}")).expect("one");
        assert_eq!(later.current(0).0, id(&first), "better than none");
        assert!(later != keys && keys == Keys::parse(&text).expect("the same"));
    }

    #[test]
    fn a_line_that_is_wrong_is_named_without_its_key() {
        let key = encode(&random::<32>());
        for (text, word) in [
            (String::new(), "is empty"),
            (format!("{key}\nyesterday {key}"), "line 2 must begin with a time"),
            (format!("{key} {key}"), "line 1 must begin with a time"),
            (format!("2026-01-31T12:00:00Z {key} x"), "line 1 must be a key, or"),
            (format!("2026-01-31T12:00:00Z {}", &key[1..]), "line 1 must be"),
        ] {
            let error =
                Keys::from_setting("TEST", Some(&of(&text))).err().expect(&text).to_string();
            assert!(error.contains(word) && !error.contains(&key[1..]), "{error}");
        }
    }
}
