//! Access tokens: a JWT profile of RFC 9068, issued here and believed in `verify`.

mod verify;

#[cfg(test)]
mod tests;

use jsonwebtoken::{Algorithm, Header, Validation, crypto::aws_lc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::{KeyRing, Signer};
pub use verify::{LEEWAY, LONGEST_TOKEN};

/// Every claim is required, and no other is known. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user.
    #[serde(deserialize_with = "verify::uuid")]
    pub sub: Uuid,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    #[serde(deserialize_with = "verify::uuid")]
    pub jti: Uuid,
    /// The session.
    #[serde(deserialize_with = "verify::uuid")]
    pub sid: Uuid,
    /// The user's version: it goes up when what they may do changes.
    pub ver: i32,
    pub scope: String,
    pub auth_time: i64,
    pub amr: Vec<String>,
}

/// Who issues tokens, for whom and for how long.
#[derive(Clone)]
pub struct Issuer {
    iss: String,
    aud: String,
    lifetime: i64,
    signature_only: Validation,
}

/// What differs from token to token.
pub struct Grant {
    pub user: Uuid,
    pub session: Uuid,
    pub version: i32,
    pub scope: String,
    pub auth_time: i64,
}

/// Why a ring cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    #[error("signing key {0} does not sign: {1}; its row in signing_keys was changed")]
    Signs(String, jsonwebtoken::errors::Error),
    #[error(
        "signing key {0} does not verify what it signs: its public half in signing_keys is another key's"
    )]
    Verifies(String),
    #[error("signing key {0} verifies what it did not sign: this build's cryptography is broken")]
    Refuses(String),
}

impl Issuer {
    /// `lifetime` is in seconds, one of `ACCESS_LIFETIMES`.
    pub fn new(origin: &str, lifetime: i64) -> Self {
        Self {
            iss: origin.to_owned(),
            aud: format!("{origin}/api"),
            lifetime,
            signature_only: verify::signature_only(),
        }
    }

    /// Of the tokens that this process issues.
    pub fn lifetime(&self) -> i64 {
        self.lifetime
    }

    pub fn issue(&self, signer: &Signer, grant: Grant, now: i64) -> String {
        sign(signer, &self.claims(grant, now)).expect("a key that passed the self-test can sign")
    }

    fn claims(&self, grant: Grant, now: i64) -> Claims {
        Claims {
            iss: self.iss.clone(),
            aud: self.aud.clone(),
            sub: grant.user,
            iat: now,
            nbf: now,
            exp: now + self.lifetime,
            jti: Uuid::new_v4(),
            sid: grant.session,
            ver: grant.version,
            scope: grant.scope,
            // The database's clock may be ahead of ours, or ours was set back.
            auth_time: grant.auth_time.min(now),
            amr: vec!["pwd".into()],
        }
    }

    /// At the start, before anything else uses the crate: it chooses its cryptography by the features
    /// that all crates of a build ask for together, and when that is none or two, it compiles and panics
    /// at the first use. Naming it here makes that an error of the build.
    ///
    /// A ring that cannot sign passes: whoever wants to sign hears of that.
    pub fn self_test(&self, keys: &KeyRing, now: i64) -> Result<(), SelfTestError> {
        // An error means that it was chosen before; whether what was chosen works comes out below.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let Ok(signer) = keys.signing(now) else { return Ok(()) };
        let kid = signer.kid;
        let grant = Grant {
            user: Uuid::nil(),
            session: Uuid::nil(),
            version: 1,
            scope: "account".into(),
            auth_time: now,
        };
        let good = sign(&signer, &self.claims(grant, now))
            .map_err(|error| SelfTestError::Signs(kid.into(), error))?;
        if self.verify(keys, &good, now).is_err() {
            return Err(SelfTestError::Verifies(kid.into()));
        }
        // The signature's last letter but one: the last has bits that must be zero anyway.
        let mut spoilt = good.into_bytes();
        let position = spoilt.len() - 2;
        spoilt[position] = if spoilt[position] == b'A' { b'B' } else { b'A' };
        let spoilt = String::from_utf8(spoilt).expect("ASCII");
        match self.verify(keys, &spoilt, now) {
            Err(_) => Ok(()),
            Ok(_) => Err(SelfTestError::Refuses(kid.into())),
        }
    }
}

fn sign(signer: &Signer, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".into());
    header.kid = Some(signer.kid.to_owned());
    jsonwebtoken::encode(&header, claims, signer.key)
}
