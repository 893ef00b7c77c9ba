//! Headers, signed with the right key all the same.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::{Signer, Table};
use crate::auth::secret;

/// B1 to B3.
pub fn algorithm(table: &mut Table) {
    for none in ["none", "None", "NONE", "nOnE"] {
        table.headers("B1", "alg", &[json!(none)]);
        let unsigned = table.cases.last().expect("just made").token.rsplit_once('.');
        let unsigned = format!("{}.", unsigned.expect("segments").0);
        table.text("B1", format!("{none}, no signature"), unsigned);
    }

    let x = secret::encode(&table.signer.public);
    // RFC 8410: an Ed25519 public key in DER is these 12 bytes and the key.
    let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    der.extend(&table.signer.public);
    let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string();
    let jwks = table.signer.keys.jwks().to_string();
    let keys = [pem.trim_end().into(), pem, jwk, jwks, x].map(String::into_bytes);
    let raw = table.signer.public.clone();
    for secret_key in keys.into_iter().chain([der, raw, Vec::new()]) {
        let mut header = table.header.clone();
        header["alg"] = json!("HS256");
        let part = |value: &Value| secret::encode(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&header), part(&table.claims));
        let key = EncodingKey::from_secret(&secret_key);
        let mac = crypto::sign(text.as_bytes(), &key, Algorithm::HS256).expect("MAC");
        table.text("B2", format!("HMAC with {secret_key:?}"), format!("{text}.{mac}"));
    }

    let others = [
        "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "ES256K",
        "Ed25519", "Ed448", "eddsa", "EDDSA", "EdDSA ", "EdDSA\0", "",
    ];
    table.headers("B3", "alg", &others.map(|name| json!(name)));
    table.headers("B3", "alg", &[json!(null), json!(["EdDSA"]), json!(1), json!({})]);
    table.without("B3", &["alg"]);
}

/// B5 to B8.
pub fn header(table: &mut Table) {
    let stranger = Signer::new();
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": secret::encode(&table.signer.public)});
    let theirs = json!({"kty": "OKP", "crv": "Ed25519", "x": secret::encode(&stranger.public)});
    let address = json!("http://127.0.0.1:1/jwks.json");
    table.headers("B5", "jwk", &[own, theirs.clone(), json!(null)]);
    table.headers("B5", "jku", &[address.clone(), json!("")]);
    table.headers("B5", "x5u", &[address]);
    table.headers("B5", "x5c", &[json!([]), json!(["MIIB"])]);
    table.headers("B5", "x5t", &[json!("AAAA")]);
    table.headers("B5", "x5t#S256", &[json!("AAAA")]);
    let mut header = table.header.clone();
    header["jwk"] = theirs;
    let token = stranger.sign(header.to_string(), table.claims.to_string());
    table.text("B5", "a stranger's key in the header, and their signature", token);

    let kid = table.signer.kid.clone();
    for value in [
        json!(""),
        json!("x".repeat(1024)),
        json!("../../dev/null"),
        json!("/dev/null\0"),
        json!("' OR 1=1--"),
        json!("|sleep 10"),
        json!("0"),
        json!(format!("{kid} ")),
        json!(format!("{kid}\0")),
        json!(&kid[1..]),
        json!(stranger.kid),
        json!([kid]),
        json!(1),
        json!(null),
    ] {
        table.headers("B6", "kid", &[value]);
    }
    table.without("B6", &["kid"]);

    table.headers("B7", "crit", &[json!([]), json!(["exp"]), json!(["b64"]), json!(null)]);
    table.headers("B7", "b64", &[json!(false), json!(true)]);
    table.headers("B7", "zip", &[json!("DEF"), json!("GZ")]);
    table.headers("B7", "enc", &[json!("A256GCM")]);
    table.headers("B7", "cty", &[json!("JWT")]);
    table.headers("B7", "x", &[json!(1)]);

    for typ in ["", "JWT", "jwt", "dpop+jwt", "refresh+jwt", "at+jwt ", "at+jwt;x", "text/at+jwt"] {
        table.headers("B8", "typ", &[json!(typ)]);
    }
    table.headers("B8", "typ", &[json!(null), json!(["at+jwt"]), json!(1)]);
    table.without("B8", &["typ"]);
}
