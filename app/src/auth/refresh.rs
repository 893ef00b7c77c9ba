//! Refresh tokens: `session.generation.key.MAC`, where only the key is secret, and it is not in the
//! database. So a dump of the database refreshes nothing, and the same successor can be given twice
//! without being stored.

use uuid::Uuid;

use super::secret::{self, Key};

pub struct RefreshKey {
    key: Key,
    /// Tells keys apart when one replaces another.
    kid: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    pub session: Uuid,
    pub generation: i32,
}

impl RefreshKey {
    pub fn new(key: Key) -> Self {
        let kid = secret::encode(&secret::sha256(key.bytes())[..4]);
        Self { key, kid }
    }

    pub fn issue(&self, token: RefreshToken) -> String {
        let RefreshToken { session, generation } = token;
        let mac = secret::encode(&self.key.mac(&message(token)));
        format!("{}.{generation}.{}.{mac}", session.simple(), self.kid)
    }

    /// `None` for whatever this key did not make, without saying why.
    pub fn read(&self, text: &str) -> Option<RefreshToken> {
        let mut parts = text.split('.');
        let mut part = || parts.next();
        let (session, generation, kid, mac) = (part()?, part()?, part()?, part()?);
        let token = RefreshToken {
            session: Uuid::try_parse(session).ok()?,
            generation: generation.parse().ok()?,
        };
        let ours = kid == self.kid && self.key.mac_is(&message(token), &secret::decode(mac)?);
        // One token has one spelling.
        (ours && self.issue(token) == text).then_some(token)
    }
}

fn message(token: RefreshToken) -> [u8; 20] {
    let mut message = [0; 20];
    message[..16].copy_from_slice(token.session.as_bytes());
    message[16..].copy_from_slice(&token.generation.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RefreshKey {
        let text = secret::encode(&secret::random::<32>());
        let setting = serde_json::from_value(text.into()).expect("text");
        RefreshKey::new(Key::from_setting("TEST", Some(&setting)).expect("32 bytes"))
    }

    #[test]
    fn a_token_is_read_back_and_nothing_else_is() {
        let key = key();
        let token = RefreshToken { session: Uuid::new_v4(), generation: 41 };
        let text = key.issue(token);
        assert_eq!(key.issue(token), text, "the same successor can be given twice");
        assert_eq!(key.read(&text), Some(token));
        assert_eq!(self::key().read(&text), None, "another key's");
        for spoilt in [
            text.replace(".41.", ".42."),
            text.replace(".41.", ".+41."),
            text.replace(".41.", ".041."),
            text.to_uppercase(),
            format!("{text}."),
            format!("{text}="),
            text[..text.len() - 1].into(),
            String::new(),
            "...".into(),
        ] {
            assert_eq!(key.read(&spoilt), None, "{spoilt}");
        }
    }
}
