//! Who has the right key, and signs anything with it.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;
use uuid::Uuid;

use crate::auth::{
    keys::{KeyRing, NewKey, StoredKey},
    secret::{self, Key},
    token::{Grant, Issuer},
};

pub const NOW: i64 = 1_800_000_000;

pub fn issuer() -> Issuer {
    Issuer::new("https://example.org", 300)
}

pub fn grant() -> Grant {
    Grant {
        user: Uuid::new_v4(),
        session: Uuid::new_v4(),
        version: 1,
        scope: "account notes".into(),
        auth_time: NOW,
    }
}

pub fn random_key() -> Key {
    let text = secret::encode(&secret::random::<32>()).into();
    Key::from_setting("TEST", Some(&text)).expect("32 bytes")
}

pub struct Signer {
    pub keys: KeyRing,
    pub kid: String,
    pub public: Vec<u8>,
    private: Vec<u8>,
}

impl Signer {
    pub fn new() -> Self {
        Self::stored(|_| ())
    }

    /// With a row of the database that somebody has changed.
    pub fn stored(change: impl FnOnce(&mut StoredKey)) -> Self {
        let master = random_key();
        let NewKey { kid, public, sealed } = NewKey::generate(&master);
        let private = master.open(kid.as_bytes(), &sealed).expect("own key");
        let mut stored = StoredKey { kid: kid.clone(), public: public.clone(), sealed };
        change(&mut stored);
        Self { keys: KeyRing::open(&master, &[stored]).expect("opens"), kid, public, private }
    }

    pub fn with_private(private: Vec<u8>) -> Self {
        let master = random_key();
        let NewKey { kid, public, .. } = NewKey::generate(&master);
        let sealed = master.seal(kid.as_bytes(), &private);
        let stored = StoredKey { kid: kid.clone(), public: public.clone(), sealed };
        Self { keys: KeyRing::open(&master, &[stored]).expect("opens"), kid, public, private }
    }

    /// A good token's header and claims, to be spoilt.
    pub fn parts(&self, now: i64) -> (Value, Value) {
        let grant = Grant { auth_time: now, ..grant() };
        let token = issuer().issue(&self.keys, grant, now);
        let mut segments = token.split('.').map(|part| secret::decode(part).expect("base64url"));
        let mut part = || serde_json::from_slice(&segments.next().expect("part")).expect("JSON");
        (part(), part())
    }

    pub fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let encoded = secret::encode(header.as_ref()) + "." + &secret::encode(claims.as_ref());
        self.sign_text(&encoded)
    }

    /// Whatever stands before the signature.
    pub fn sign_text(&self, text: &str) -> String {
        let key = EncodingKey::from_ed_der(&self.private);
        let signature = crypto::sign(text.as_bytes(), &key, Algorithm::EdDSA).expect("signs");
        format!("{text}.{signature}")
    }
}
