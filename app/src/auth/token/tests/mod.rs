//! `hostile` is a table of tokens that must not be believed, nearly all signed with the right key.

mod hostile;
mod properties;
mod signer;

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::{
    Algorithm, Validation,
    crypto::{CryptoProvider, KeyUtils},
    errors::ErrorKind,
};
use serde_json::{Value, json};

use super::*;
use crate::{config::ACCESS_LIFETIMES, error::TokenError};
use signer::{NOW, Signer, grant, issuer};

/// Of the checklist in this order; what only a request shows (B18, users that are disabled) is in the
/// tests of the stack.
const ROWS: [&str; 17] = [
    "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14", "B15",
    "B16", "B17",
];

#[test]
fn no_hostile_token_is_believed() {
    let signer = Signer::new();
    let cases = hostile::tokens(&signer, NOW);
    for case in &cases {
        let verdict = issuer().verify(&signer.keys, &case.token, NOW);
        assert!(verdict.is_err(), "{} {}: {verdict:?}", case.row, case.what);
        assert!(!case.what.is_empty());
    }
    let rows: BTreeSet<&str> = cases.iter().map(|case| case.row).collect();
    assert_eq!(rows, ROWS.into(), "every row has a case");
}

/// Why the verifier is not the crate alone, with the most that its documentation offers: typed claims;
/// issuer, audience and `nbf` checked; all five claims required that it can require; no leeway.
#[test]
fn the_crate_alone_would_believe_many_of_them() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "read to be typed")]
    struct Typed {
        iss: String,
        aud: String,
        sub: Uuid,
        iat: i64,
        nbf: i64,
        exp: i64,
        jti: Uuid,
        sid: Uuid,
        ver: i32,
        scope: String,
        auth_time: i64,
        amr: Vec<String>,
    }
    let signer = Signer::new();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&["https://example.org"]);
    validation.set_audience(&["https://example.org/api"]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = 0;
    // It knows no other clock than the machine's.
    let now = jsonwebtoken::get_current_timestamp() as i64;
    let cases = hostile::tokens(&signer, now);
    let mut believed = BTreeMap::<&str, u32>::new();
    for case in &cases {
        let header = jsonwebtoken::decode_header(&case.token).ok();
        let key = header.and_then(|header| signer.keys.verifying(&header.kid?));
        let decoded = key.map(|key| jsonwebtoken::decode::<Typed>(&case.token, key, &validation));
        if matches!(decoded, Some(Ok(_))) {
            *believed.entry(case.row).or_default() += 1;
        }
    }
    let sum: u32 = believed.values().sum();
    println!("the crate alone believes {sum} of {}: {believed:?}", cases.len());
    assert!(sum > 0);
    for row in ["B5", "B7", "B8", "B10", "B12", "B14"] {
        assert!(believed.contains_key(row), "{row}: {believed:?}");
    }
}

#[test]
fn a_token_is_good_from_five_seconds_before_until_its_last_second() {
    let signer = Signer::new();
    let token = issuer().issue(&signer.keys.signing(NOW).expect("signs"), grant(), NOW);
    let at = |now| issuer().verify(&signer.keys, &token, now);
    for now in [NOW - 5, NOW, NOW + 299] {
        assert!(at(now).is_ok());
    }
    for now in [NOW + 300, NOW + 301, i64::MAX] {
        assert_eq!(at(now), Err(TokenError::Expired));
    }
    for now in [NOW - 6, 0, i64::MIN] {
        assert_eq!(at(now), Err(TokenError::Invalid));
    }
}

#[test]
fn what_may_differ_may() {
    let signer = Signer::new();
    let (header, claims) = signer.parts(NOW);
    let good = |header: &Value, claims: &Value| {
        let token = signer.sign(header.to_string(), claims.to_string());
        assert!(issuer().verify(&signer.keys, &token, NOW).is_ok(), "{header} {claims}");
    };
    // The order of the members is already another than `issue` writes.
    good(&header, &claims);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
        let mut other = header.clone();
        other["typ"] = json!(typ);
        good(&other, &claims);
    }
    for (name, value) in [
        ("scope", json!("a")),
        ("scope", json!("notes:read !#[]~")),
        ("amr", json!(["pwd", "otp"])),
        ("ver", json!(i32::MAX)),
        ("auth_time", json!(0)),
        ("nbf", json!(NOW + 5)),
        ("exp", json!(NOW + 1)),
    ] {
        let mut other = claims.clone();
        other[name] = value;
        good(&header, &other);
    }
}

#[test]
fn while_the_lifetime_changes_each_slot_believes_the_other_s_tokens() {
    let signer = Signer::new();
    let slots = [ACCESS_LIFETIMES.start(), ACCESS_LIFETIMES.end()]
        .map(|lifetime| Issuer::new("https://example.org", *lifetime));
    for slot in &slots {
        let token = slot.issue(&signer.keys.signing(NOW).expect("signs"), grant(), NOW);
        for sibling in &slots {
            let claims = sibling.verify(&signer.keys, &token, NOW).expect("good");
            assert_eq!(claims.exp, NOW + slot.lifetime());
        }
    }
}

#[test]
fn nobody_signs_in_later_than_now_whatever_the_clocks_say() {
    let signer = Signer::new();
    let ahead = Grant { auth_time: NOW + 3600, ..grant() };
    let token = issuer().issue(&signer.keys.signing(NOW).expect("signs"), ahead, NOW);
    let claims = issuer().verify(&signer.keys, &token, NOW).expect("good");
    assert_eq!(claims.auth_time, NOW);
}

#[test]
fn a_ring_that_cannot_be_worked_with_is_found_at_the_start() {
    let test = |signer: &Signer| issuer().self_test(&signer.keys, NOW).map_err(|e| e.to_string());
    let good = Signer::new();
    assert_eq!(test(&good), Ok(()));
    let other_half = Signer::stored(|stored| stored.public = vec![7; 32]);
    let told = test(&other_half).expect_err("verifies");
    assert!(told.contains(&other_half.kid) && told.contains("another key's"), "{told}");
    let no_key = Signer::with_private(b"not PKCS#8".to_vec());
    let told = test(&no_key).expect_err("signs");
    assert!(told.contains(&no_key.kid) && told.contains("does not sign"), "{told}");
}

/// In a process of its own: the crate's cryptography is chosen once.
#[test]
fn without_working_cryptography_the_self_test_fails() {
    const NAME: &str = "auth::token::tests::without_working_cryptography_the_self_test_fails";
    const INSIDE: &str = "TEST_WITHOUT_CRYPTOGRAPHY";
    if std::env::var_os(INSIDE).is_none() {
        let program = std::env::current_exe().expect("this program");
        let mut again = std::process::Command::new(program);
        let done = again.args(["--exact", NAME]).env(INSIDE, "1").output().expect("starts");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    static NONE: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        key_utils: KeyUtils::new_unimplemented(),
    };
    NONE.install_default().expect("first");
    let told = issuer().self_test(&Signer::new().keys, NOW).expect_err("no signature");
    assert!(told.to_string().contains("does not sign"), "{told}");
}
