//! Believes an access token, or does not: its size first, then its form, then the signature, then
//! what it claims. All that comes before the signature is cheap, and asks nobody else.
//!
//! The crate does the signature only. Of the rest it takes much that must not pass (`crit`, a missing
//! `aud`, `exp` = now, members that come twice, …): the tests count how much.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Deserializer, de, de::IgnoredAny};
use uuid::Uuid;

use super::{Claims, Issuer};
use crate::{
    auth::{keys::KeyRing, secret},
    config::ACCESS_LIFETIMES,
    error::TokenError,
};

/// Bytes.
pub const LONGEST_TOKEN: usize = 4096;
/// The 64 bytes of an Ed25519 signature, in base64url.
const SIGNATURE_LETTERS: usize = 86;
/// Seconds by which our own machines' clocks may differ; for `exp` there is none.
pub const LEEWAY: i64 = 5;

/// RFC 8725 section 3.11: a token of another kind is none. Anything more (`crit`, `jwk`, `jku`, `x5u`,
/// `zip`, …) is refused unread. Borrowed: a name that is written with an escape is none, either.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

impl Issuer {
    pub fn verify(&self, keys: &KeyRing, token: &str, now: i64) -> Result<Claims, TokenError> {
        let claims = self.signed_claims(keys, token).ok_or(TokenError::Invalid)?;
        match self.are_ours(&claims) && are_in_time(&claims, now) {
            false => Err(TokenError::Invalid),
            true if claims.exp <= now => Err(TokenError::Expired),
            true => Ok(claims),
        }
    }

    fn signed_claims(&self, keys: &KeyRing, token: &str) -> Option<Claims> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let mut segments = token.split('.');
        let (header, claims, signature) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() || signature.len() != SIGNATURE_LETTERS {
            return None;
        }
        let claims = object(claims)?;
        let key = signature_key(keys, &object(header)?)?;
        jsonwebtoken::decode::<IgnoredAny>(token, key, &self.signature_only).ok()?;
        serde_json::from_str(&claims).ok()
    }

    fn are_ours(&self, claims: &Claims) -> bool {
        claims.iss == self.iss
            && claims.aud == self.aud
            && claims.ver > 0
            && claims.scope.split(' ').all(is_word)
            && !claims.amr.is_empty()
            && claims.amr.iter().all(|method| is_word(method))
    }
}

/// Their order, and that none is of a future beyond the clocks' difference.
///
/// The lifetime is held against the longest that the setting may say, not against the setting: while it
/// changes, one slot has the old and the other the new one, and what either has issued is good at both.
/// A shorter setting therefore holds for new tokens; older ones keep the time that they were given.
fn are_in_time(Claims { auth_time, iat, nbf, exp, .. }: &Claims, now: i64) -> bool {
    let latest = now.saturating_add(LEEWAY);
    0 <= *auth_time
        && auth_time <= iat
        && iat <= nbf
        && nbf < exp
        && *nbf <= latest
        && exp - iat <= *ACCESS_LIFETIMES.end()
}

/// The text of a segment: strict base64url of one JSON object. For a struct, serde would take an
/// array, too.
fn object(segment: &str) -> Option<String> {
    let text = String::from_utf8(secret::decode(segment)?).ok()?;
    (text.starts_with('{') && text.ends_with('}')).then_some(text)
}

/// Reads no more of an unverified token than which of our keys it names. That each of them is for
/// EdDSA alone, the table of keys says.
fn signature_key<'a>(keys: &'a KeyRing, header: &str) -> Option<&'a DecodingKey> {
    let header: StrictHeader = serde_json::from_str(header).ok()?;
    let is_access_token =
        ["at+jwt", "application/at+jwt"].iter().any(|typ| header.typ.eq_ignore_ascii_case(typ));
    (header.alg == "EdDSA" && is_access_token).then(|| keys.verifying(header.kid)).flatten()
}

/// A scope-token of RFC 6749 section 3.3.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

/// Only as we write them: not in capitals, in braces, without hyphens or as a URN.
pub(super) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    let uuid = Uuid::try_parse(&text).map_err(de::Error::custom)?;
    match *uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text {
        true => Ok(uuid),
        false => Err(de::Error::custom("not the usual spelling of a UUID")),
    }
}

pub(super) fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
