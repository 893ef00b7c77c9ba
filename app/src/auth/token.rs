//! Access tokens: a JWT profile of RFC 9068, verified more strictly than the crate does by itself.

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    keys::{KeyRing, Signer},
    secret,
};
use crate::error::TokenError;

/// Seconds.
pub const LIFETIME: i64 = 300;
/// Seconds by which our own machines' clocks may differ; for `exp` there is none.
pub const LEEWAY: i64 = 5;
const LONGEST: usize = 4096;

/// Every claim is required, and no other is known. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: Uuid,
    /// The session.
    pub sid: Uuid,
    /// The user's version: it goes up when what they may do changes.
    pub ver: i32,
    pub scope: String,
    pub auth_time: i64,
    pub amr: Vec<String>,
}

/// RFC 8725 section 3.11: a token of another kind is none. Anything more (`crit`, `jwk`, `jku`,
/// `x5u`, `zip`, …) is refused unread.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// Who issues tokens, and for whom.
#[derive(Clone)]
pub struct Issuer {
    iss: String,
    aud: String,
}

/// What differs from token to token.
pub struct Grant {
    pub user: Uuid,
    pub session: Uuid,
    pub version: i32,
    pub scope: String,
    pub auth_time: i64,
}

impl Issuer {
    pub fn new(origin: &str) -> Self {
        Self { iss: origin.to_owned(), aud: format!("{origin}/api") }
    }

    pub fn issue(&self, signer: &Signer, grant: Grant, now: i64) -> String {
        let claims = Claims {
            iss: self.iss.clone(),
            aud: self.aud.clone(),
            sub: grant.user,
            iat: now,
            nbf: now,
            exp: now + LIFETIME,
            jti: Uuid::new_v4(),
            sid: grant.session,
            ver: grant.version,
            scope: grant.scope,
            auth_time: grant.auth_time,
            amr: vec!["pwd".into()],
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".into());
        header.kid = Some(signer.kid.to_owned());
        jsonwebtoken::encode(&header, &claims, signer.key).expect("a key that opened can sign")
    }

    pub fn verify(&self, keys: &KeyRing, token: &str, now: i64) -> Result<Claims, TokenError> {
        let key = signature_key(keys, token).ok_or(TokenError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &signature_only())
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let sound = claims.iss == self.iss
            && claims.aud == self.aud
            && claims.iat <= now + LEEWAY
            && claims.nbf <= now + LEEWAY
            && claims.auth_time <= now + LEEWAY
            && (1..=LIFETIME).contains(&claims.exp.saturating_sub(claims.iat));
        match sound {
            false => Err(TokenError::Invalid),
            true if claims.exp <= now => Err(TokenError::Expired),
            true => Ok(claims),
        }
    }
}

/// Reads no more of an unverified token than which of our keys it names.
fn signature_key<'a>(keys: &'a KeyRing, token: &str) -> Option<&'a jsonwebtoken::DecodingKey> {
    if token.len() > LONGEST || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return None;
    }
    let header = secret::decode(token.split('.').next()?)?;
    let header: StrictHeader = serde_json::from_slice(&header).ok()?;
    let typ = header.typ.to_ascii_lowercase();
    let known = header.alg == "EdDSA" && matches!(&*typ, "at+jwt" | "application/at+jwt");
    known.then(|| keys.verifying(&header.kid)).flatten()
}

/// Claims are checked above, all of them: the crate takes a missing `aud` or `iss`, and `exp` = now.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::{
        keys::{NewKey, StoredKey},
        secret::Keys,
    };

    const NOW: i64 = 1_800_000_000;

    /// A ring, the name of its key, and the private half.
    fn ring() -> (KeyRing, String, Vec<u8>) {
        let masters = Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key");
        let stored = StoredKey::from(NewKey::generate(&masters, NOW));
        let private = stored.open(&masters).expect("own key");
        (KeyRing::open(&masters, std::slice::from_ref(&stored)), stored.kid, private)
    }

    fn issue(keys: &KeyRing) -> String {
        issuer().issue(&keys.signing(NOW).expect("signs"), grant(), NOW)
    }

    fn issuer() -> Issuer {
        Issuer::new("https://example.org")
    }

    fn grant() -> Grant {
        Grant {
            user: Uuid::new_v4(),
            session: Uuid::new_v4(),
            version: 1,
            scope: "account notes".into(),
            auth_time: NOW,
        }
    }

    fn sign(private: &[u8], header: &Value, claims: &Value) -> String {
        let part = |value: &Value| secret::encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let key = EncodingKey::from_ed_der(private);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA);
        format!("{signed}.{}", signature.expect("signs"))
    }

    /// A good token's header and claims, to be spoilt.
    fn parts(token: &str) -> (Value, Value) {
        let mut parts = token.split('.').map(|part| secret::decode(part).expect("base64url"));
        let mut part = || serde_json::from_slice(&parts.next().expect("part")).expect("JSON");
        (part(), part())
    }

    #[test]
    fn a_token_is_good_until_its_last_second() {
        let (keys, ..) = ring();
        let token = issue(&keys);
        assert!(issuer().verify(&keys, &token, NOW).is_ok());
        assert!(issuer().verify(&keys, &token, NOW + LIFETIME - 1).is_ok());
        assert!(issuer().verify(&keys, &token, NOW - LEEWAY).is_ok());
        for now in [NOW + LIFETIME, NOW + LIFETIME + 1] {
            assert_eq!(issuer().verify(&keys, &token, now), Err(TokenError::Expired));
        }
        assert_eq!(issuer().verify(&keys, &token, NOW - LEEWAY - 1), Err(TokenError::Invalid));
        assert!(Issuer::new("https://example.com").verify(&keys, &token, NOW).is_err());
        assert!(issuer().verify(&ring().0, &token, NOW).is_err(), "another ring's key");
    }

    #[test]
    fn a_spoilt_claim_or_header_is_refused_though_the_signature_is_right() {
        let (keys, _, private) = ring();
        let (header, claims) = parts(&issue(&keys));
        assert!(issuer().verify(&keys, &sign(&private, &header, &claims), NOW).is_ok());

        let refused = |header: &Value, claims: &Value| {
            let token = sign(&private, header, claims);
            assert!(issuer().verify(&keys, &token, NOW).is_err(), "{header} {claims}");
        };
        for (name, value) in [
            ("exp", json!(null)),
            ("exp", json!("1800000300")),
            ("exp", json!(1e300)),
            ("exp", json!(-1)),
            ("exp", json!(true)),
            ("exp", json!(NOW)),
            ("exp", json!(NOW + LIFETIME + 1)),
            ("exp", json!(1_000_000_000_000_000_000_i64)),
            ("nbf", json!(NOW + LEEWAY + 1)),
            ("iat", json!(NOW + LEEWAY + 1)),
            ("iat", json!(i64::MIN)),
            ("iss", json!("https://example.org.evil")),
            ("iss", json!(["https://example.org"])),
            ("aud", json!("https://example.org")),
            ("aud", json!(["https://example.org/api", "x"])),
            ("aud", json!([])),
            ("sub", json!(1)),
            ("sub", json!("root")),
            ("sid", json!("x")),
            ("ver", json!("1")),
            ("jti", json!(7)),
            ("scope", json!(["admin"])),
        ] {
            let mut spoilt = claims.clone();
            spoilt[name] = value;
            refused(&header, &spoilt);
        }
        for name in claims.as_object().expect("object").keys() {
            let mut spoilt = claims.clone();
            spoilt.as_object_mut().expect("object").remove(name);
            refused(&header, &spoilt);
        }
        let mut more = claims.clone();
        more["admin"] = json!(true);
        refused(&header, &more);

        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("None")),
            ("alg", json!("HS256")),
            ("alg", json!("Ed448")),
            ("typ", json!("JWT")),
            ("typ", json!("refresh+jwt")),
            ("typ", json!(null)),
            ("kid", json!("")),
            ("kid", json!("../../dev/null")),
            ("kid", json!(1)),
            ("kid", json!(["a"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("enc", json!("A256GCM")),
            ("cty", json!("JWT")),
            ("jwk", json!({"kty": "OKP"})),
            ("jku", json!("http://127.0.0.1:1/")),
            ("x5u", json!("http://127.0.0.1:1/")),
            ("x5c", json!([])),
            ("x5t", json!("x")),
        ] {
            let mut spoilt = header.clone();
            spoilt[name] = value;
            refused(&spoilt, &claims);
        }
        let mut no_typ = header.clone();
        no_typ.as_object_mut().expect("object").remove("typ");
        refused(&no_typ, &claims);

        let mut upper = header.clone();
        upper["typ"] = json!("Application/AT+JWT");
        assert!(issuer().verify(&keys, &sign(&private, &upper, &claims), NOW).is_ok());
    }

    #[test]
    fn repeated_members_are_refused() {
        let (keys, kid, private) = ring();
        let token = issue(&keys);
        let (_, claims) = parts(&token);
        let raw = |header: &str, claims: &str| {
            let signed = format!(
                "{}.{}",
                secret::encode(header.as_bytes()),
                secret::encode(claims.as_bytes())
            );
            let key = EncodingKey::from_ed_der(&private);
            let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA);
            format!("{signed}.{}", signature.expect("signs"))
        };
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#);
        let claims = claims.to_string();
        assert!(issuer().verify(&keys, &raw(&header, &claims), NOW).is_ok());
        let twice = header.replacen('{', r#"{"alg":"EdDSA","#, 1);
        assert!(issuer().verify(&keys, &raw(&twice, &claims), NOW).is_err());
        let twice = claims.replacen('{', r#"{"scope":"account","#, 1);
        assert!(issuer().verify(&keys, &raw(&header, &twice), NOW).is_err());
        for tail in ["\n", " {}", "\0"] {
            let token = raw(&header, &format!("{claims}{tail}"));
            assert_eq!(issuer().verify(&keys, &token, NOW).is_ok(), tail == "\n", "{tail:?}");
        }
    }

    #[test]
    fn no_mutation_of_the_text_is_good() {
        let (keys, ..) = ring();
        let token = issue(&keys);
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for position in 0..token.len() {
            for other in [
                alphabet[position % 64],
                alphabet[(position * 7 + 13) % 64],
                b'=',
                b'+',
                b'.',
                b' ',
            ] {
                let mut bytes = token.clone().into_bytes();
                if bytes[position] == other {
                    continue;
                }
                bytes[position] = other;
                let spoilt = String::from_utf8(bytes).expect("ASCII");
                assert!(issuer().verify(&keys, &spoilt, NOW).is_err(), "at {position}: {spoilt}");
            }
        }
        let (head, _) = token.rsplit_once('.').expect("segments");
        for spoilt in [
            String::new(),
            "..".into(),
            head.into(),
            format!("{head}."),
            format!("{head}.{}", secret::encode(&[0; 64])),
            format!("{token}."),
            format!("{token}.x"),
            format!("{token}="),
            format!(" {token}"),
            format!("\u{feff}{token}"),
            "x".repeat(LONGEST + 1),
        ] {
            assert!(issuer().verify(&keys, &spoilt, NOW).is_err(), "{spoilt}");
        }
    }
}
