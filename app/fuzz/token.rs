//! Tries what no one thought of on the verifier of access tokens, guided by the paths it takes:
//! `scripts/fuzz.sh`. An input is a token's text, or a header and claims that are signed with the right
//! key first; else nothing behind the signature would ever be reached.

#![no_main]

use std::{fs, path::Path, sync::LazyLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use libfuzzer_sys::fuzz_target;
use roadstead::auth::{
    keys::{KeyRing, StoredKey},
    secret::{self, Keys},
    token::{Claims, Issuer},
};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const LATEST: i64 = NOW + 5;
const KID: &str = "one-of-ours";
/// Between a header and claims; a token's text has none.
const NUL: u8 = 0;
/// Where the first inputs are put: the folder that the fuzzer reads them from after it.
const SEEDS: &str = "FUZZ_SEEDS";

struct Site {
    pair: Ed25519KeyPair,
    keys: KeyRing,
    issuer: Issuer,
}

/// Always the same key: an input that failed fails again.
static SITE: LazyLock<Site> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
    let pkcs8 = pair.to_pkcs8().expect("a key");
    let masters = Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key");
    let stored = StoredKey {
        kid: KID.into(),
        public: pair.public_key().as_ref().to_vec(),
        sealed: masters.oldest().seal(KID.as_bytes(), pkcs8.as_ref()),
        master_kid: None,
        signs_from: 0,
        retired: false,
        expires_at: None,
    };
    let keys = KeyRing::open(&masters, &[stored]);
    let issuer = Issuer::new("https://example.org", 300);
    issuer.self_test(&keys, NOW).expect("it works");
    Site { pair, keys, issuer }
});

fn sign(header: &[u8], claims: &[u8]) -> String {
    let text = secret::encode(header) + "." + &secret::encode(claims);
    let signature = secret::encode(SITE.pair.sign(text.as_bytes()).as_ref());
    format!("{text}.{signature}")
}

fuzz_target!(
    init: write_seeds(),
    |input: &[u8]| {
        match input.iter().position(|byte| *byte == NUL) {
            Some(at) => try_signed(&input[..at], &input[at + 1..]),
            None => try_text(&String::from_utf8_lossy(input)),
        }
    }
);

/// The only text that is a token is the seed.
fn try_text(text: &str) {
    let believed = SITE.issuer.verify(&SITE.keys, text, NOW).is_ok();
    assert!(!believed || text == sign(header().as_bytes(), claims().as_bytes()), "{text}");
}

/// What is believed has the claims that were signed, and each of them as it must be.
fn try_signed(header: &[u8], claims: &[u8]) {
    let Ok(read) = SITE.issuer.verify(&SITE.keys, &sign(header, claims), NOW) else { return };
    let signed: Value = serde_json::from_slice(claims).expect("it was read");
    assert_eq!(serde_json::to_value(&read).expect("claims"), signed);
    let Claims { iss, aud, iat, nbf, exp, ver, scope, auth_time, amr, .. } = &read;
    assert_eq!((&**iss, &**aud), ("https://example.org", "https://example.org/api"));
    assert!(0 <= *auth_time && auth_time <= iat && iat <= nbf && *nbf <= LATEST, "{read:?}");
    assert!(NOW < *exp && nbf < exp && exp - iat <= 900 && *ver > 0, "{read:?}");
    assert!(!scope.is_empty() && !scope.contains(['"', '\\', '\n', '\0']), "{read:?}");
    assert!(!amr.is_empty(), "{read:?}");

    let header: Value = serde_json::from_slice(header).expect("it was read");
    let names: Vec<&str> = header.as_object().expect("object").keys().map(|name| &**name).collect();
    assert_eq!(names, ["alg", "kid", "typ"]);
    assert_eq!((&header["alg"], &header["kid"]), (&json!("EdDSA"), &json!(KID)));
}

fn header() -> String {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": KID}).to_string()
}

fn claims() -> String {
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    json!({
        "iss": "https://example.org", "aud": "https://example.org/api", "sub": uuid, "jti": uuid, "sid": uuid,
        "iat": NOW, "nbf": NOW, "exp": NOW + 300, "auth_time": NOW, "ver": 1, "scope": "account notes", "amr": ["pwd"],
    })
    .to_string()
}

fn write_seeds() {
    let Some(folder) = std::env::var_os(SEEDS) else { return };
    let seed = |name: &str, bytes: &[u8]| {
        fs::write(Path::new(&folder).join(name), bytes).expect("the folder of the seeds is there");
    };
    let signed =
        |header: &str, claims: &str| [header.as_bytes(), &[NUL], claims.as_bytes()].concat();
    let more = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let (header, claims) = (header(), claims());
    seed("token", sign(header.as_bytes(), claims.as_bytes()).as_bytes());
    seed("signed", &signed(&header, &claims));
    for member in [r#""crit":["b64"]"#, r#""b64":false"#, r#""jwk":{"kty":"OKP"}"#] {
        seed(&format!("header-{}", &member[1..4]), &signed(&more(&header, member), &claims));
    }
    for member in [r#""exp":1e400"#, r#""admin":true"#, r#""amr":[[[]]]"#] {
        seed(&format!("claims-{}", &member[1..4]), &signed(&header, &more(&claims, member)));
    }
}
