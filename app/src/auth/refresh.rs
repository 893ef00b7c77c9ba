//! Refresh tokens: `session.generation.key.MAC`, where only the key is secret, and it is not in the
//! database. So a dump of the database refreshes nothing, and the same successor can be given twice
//! without being stored.

use uuid::Uuid;

use super::{
    key_file::KeyFile,
    secret::{self, Key},
};

pub struct RefreshKeys(pub KeyFile);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    pub session: Uuid,
    pub generation: i32,
}

impl RefreshKeys {
    pub fn issue(&self, token: RefreshToken, now: i64) -> String {
        let keys = self.0.get();
        let (kid, key) = keys.current(now);
        spell(token, kid, key)
    }

    /// `None` for whatever none of these keys made, without saying why.
    pub fn read(&self, text: &str) -> Option<RefreshToken> {
        let mut parts = text.split('.');
        let mut part = || parts.next();
        let (session, generation, kid, mac) = (part()?, part()?, part()?, part()?);
        let token = RefreshToken {
            session: Uuid::try_parse(session).ok()?,
            generation: generation.parse().ok()?,
        };
        let keys = self.0.get();
        let key = keys.find(kid)?;
        let ours = key.mac_is(&message(token), &secret::decode(mac)?);
        // One token has one spelling.
        (ours && spell(token, kid, key) == text).then_some(token)
    }
}

pub(super) fn spell(token: RefreshToken, kid: &str, key: &Key) -> String {
    let RefreshToken { session, generation } = token;
    let mac = secret::encode(&key.mac(&message(token)));
    format!("{}.{generation}.{kid}.{mac}", session.simple())
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
    use crate::auth::secret::Keys;

    fn keys(text: &str) -> RefreshKeys {
        RefreshKeys(Keys::parse(text).expect("keys").into())
    }

    fn random() -> String {
        secret::encode(&secret::random::<32>())
    }

    #[test]
    fn a_token_is_read_back_and_nothing_else_is() {
        let key = keys(&random());
        let token = RefreshToken { session: Uuid::new_v4(), generation: 41 };
        let text = key.issue(token, 0);
        assert_eq!(key.issue(token, 0), text, "the same successor can be given twice");
        assert_eq!(key.read(&text), Some(token));
        assert_eq!(keys(&random()).read(&text), None, "another key's");
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

    #[test]
    fn a_key_that_was_replaced_still_reads_its_own_tokens() {
        let (old, new) = (random(), random());
        let both = keys(&format!("{old}\n1970-01-01T00:01:40Z {new}"));
        let token = RefreshToken { session: Uuid::new_v4(), generation: 1 };
        let (before, after) = (both.issue(token, 99), both.issue(token, 100));
        assert_eq!(before, keys(&old).issue(token, 0));
        assert_eq!(after, keys(&new).issue(token, 0));
        assert_eq!((both.read(&before), both.read(&after)), (Some(token), Some(token)));
        assert_eq!(keys(&old).read(&after), None);
        let mixed =
            [before.rsplit_once('.').expect("parts").0, after.rsplit('.').next().expect("MAC")];
        assert_eq!(both.read(&mixed.join(".")), None, "the name of one key, the MAC of another");
    }
}
