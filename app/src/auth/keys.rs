//! The keys that sign access tokens (Ed25519, RFC 8037), and the public set (RFC 7517).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};

use super::secret::{self, Key};

/// A fresh key, its private half sealed under the master key.
pub struct NewKey {
    pub kid: String,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
}

impl NewKey {
    pub fn generate(master: &Key) -> Self {
        let kid = secret::encode(&secret::random::<12>());
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
            .expect("the system's randomness does not end");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("just made");
        Self {
            public: pair.public_key().as_ref().to_vec(),
            // A sealed key cannot be put under another's name.
            sealed: master.seal(kid.as_bytes(), pkcs8.as_ref()),
            kid,
        }
    }
}

/// A key as the database holds it.
pub struct StoredKey {
    pub kid: String,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
}

struct VerifyingKey {
    kid: String,
    key: DecodingKey,
    x: String,
}

/// What this process signs and verifies with.
pub struct KeyRing {
    kid: String,
    signing: EncodingKey,
    verifying: Vec<VerifyingKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no signing key yet; `roadstead migrate` makes the first one")]
    None,
    #[error(
        "signing key {0} does not open: ROADSTEAD_AUTH__MASTER_KEY is not the one it was sealed \
         with. Bring that key back, or make a new signing key and let everyone sign in again"
    )]
    Sealed(String),
}

impl KeyRing {
    /// The first of `keys` signs, all of them verify.
    pub fn open(master: &Key, keys: &[StoredKey]) -> Result<Self, KeyError> {
        let first = keys.first().ok_or(KeyError::None)?;
        let private = master
            .open(first.kid.as_bytes(), &first.sealed)
            .ok_or_else(|| KeyError::Sealed(first.kid.clone()))?;
        Ok(Self {
            kid: first.kid.clone(),
            signing: EncodingKey::from_ed_der(&private),
            verifying: keys
                .iter()
                .map(|key| VerifyingKey {
                    kid: key.kid.clone(),
                    key: DecodingKey::from_ed_der(&key.public),
                    x: secret::encode(&key.public),
                })
                .collect(),
        })
    }

    pub(super) fn signing(&self) -> (&str, &EncodingKey) {
        (&self.kid, &self.signing)
    }

    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifying.iter().find(|known| known.kid == kid).map(|known| &known.key)
    }

    /// JSON Web Key Set: public halves only.
    pub fn jwks(&self) -> Value {
        let keys = self.verifying.iter().map(|key| {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": key.x})
        });
        json!({"keys": keys.collect::<Vec<_>>()})
    }
}
