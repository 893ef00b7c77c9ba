//! Keys, randomness and digests: aws-lc-rs, in the few shapes that we need.

pub use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    digest, hmac,
    rand::{self, SecureRandom as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};

use crate::config::{ConfigError, Secret};

/// 32 random bytes.
pub struct Key([u8; 32]);

impl Key {
    /// From a setting: base64url of exactly 32 bytes.
    pub fn from_setting(
        setting: &'static str,
        value: Option<&Secret>,
    ) -> Result<Self, ConfigError> {
        let wrong = |problem: &str| ConfigError {
            setting: setting.into(),
            problem: format!("{problem}; `roadstead init` makes one"),
        };
        let text = value.ok_or_else(|| wrong("is not set (or set it by …_FILE)"))?.expose();
        let bytes = BASE64URL.decode(text).map_err(|_| wrong("must be base64url"))?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| wrong("must be 32 bytes"))?;
        // What people type when they are asked for a key is not one.
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(wrong("must be random"));
        }
        Ok(Self(bytes))
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

    #[test]
    fn a_setting_that_is_no_key_is_named() {
        let of = |text: &str| serde_json::from_value::<Secret>(text.into()).expect("text");
        for text in ["short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not base64url!"] {
            let error = Key::from_setting("ROADSTEAD_AUTH__PEPPER", Some(&of(text))).err();
            let error = error.expect(text).to_string();
            assert!(
                error.starts_with("ROADSTEAD_AUTH__PEPPER") && !error.contains(text),
                "{error}"
            );
        }
        let good = of(&encode(&random::<32>()));
        assert!(Key::from_setting("ROADSTEAD_AUTH__PEPPER", Some(&good)).is_ok());
    }
}
