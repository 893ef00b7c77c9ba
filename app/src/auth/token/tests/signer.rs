//! Who has the right key, and signs anything with it.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;
use uuid::Uuid;

use crate::auth::{
    keys::{KeyRing, NewKey, StoredKey},
    secret::{self, Keys},
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

pub fn random_keys() -> Keys {
    Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key")
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
        let masters = random_keys();
        let mut stored = StoredKey::from(NewKey::generate(&masters, NOW));
        let private = stored.open(&masters).expect("own key");
        let (kid, public) = (stored.kid.clone(), stored.public.clone());
        change(&mut stored);
        Self { keys: KeyRing::open(&masters, &[stored]), kid, public, private }
    }

    pub fn with_private(private: Vec<u8>) -> Self {
        let masters = random_keys();
        let mut stored = StoredKey::from(NewKey::generate(&masters, NOW));
        let (kid, public) = (stored.kid.clone(), stored.public.clone());
        stored.sealed = masters.oldest().seal(kid.as_bytes(), &private);
        Self { keys: KeyRing::open(&masters, &[stored]), kid, public, private }
    }

    /// A good token's header and claims, to be spoilt.
    pub fn parts(&self, now: i64) -> (Value, Value) {
        let grant = Grant { auth_time: now, ..grant() };
        let token = issuer().issue(&self.keys.signing(now).expect("signs"), grant, now);
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
