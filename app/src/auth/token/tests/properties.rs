//! What holds for any input. On failure proptest prints the smallest one that it found.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::auth::secret;

/// Nothing is kept in the tree: a case that failed belongs into the table.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// JSON of any kind, not deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (NOW - 1000..NOW + 1000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z]{1,9}( [a-z]{1,9}){0,2}".prop_map(Value::from),
        any::<u128>().prop_map(|bits| Uuid::from_u128(bits).to_string().into()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| vec(inner, 0..3).prop_map(Value::from))
}

fn changed(token: &str, changes: &[(prop::sample::Index, u8, char)]) -> String {
    let mut letters: Vec<char> = token.chars().collect();
    for (at, kind, letter) in changes {
        let at = at.index(letters.len());
        match kind % 4 {
            0 => letters[at] = *letter,
            1 => letters.insert(at, *letter),
            2 if letters.len() > 1 => drop(letters.remove(at)),
            _ => letters.truncate(at + 1),
        }
    }
    letters.into_iter().collect()
}

#[test]
fn what_nobody_signed_is_refused() {
    let signer = Signer::new();
    let segments = vec(vec(any::<u8>(), 0..64), 3);
    proptest!(cases(500), |(text: String, segments in segments)| {
        prop_assert!(issuer().verify(&signer.keys, &text, NOW).is_err());
        let token = segments.iter().map(|part| secret::encode(part)).collect::<Vec<_>>().join(".");
        prop_assert!(issuer().verify(&signer.keys, &token, NOW).is_err());
    });
}

#[test]
fn no_change_of_a_good_token_is_good() {
    let signer = Signer::new();
    let good = issuer().issue(&signer.keys.signing(NOW).expect("signs"), grant(), NOW);
    let letter = prop_oneof![
        "[A-Za-z0-9_.=+/-]".prop_map(|text| text.chars().next().unwrap()),
        any::<char>()
    ];
    let changes = vec((any::<prop::sample::Index>(), any::<u8>(), letter), 1..4);
    proptest!(cases(500), |(changes in changes)| {
        let spoilt = changed(&good, &changes);
        prop_assert_eq!(issuer().verify(&signer.keys, &spoilt, NOW).is_ok(), spoilt == good);
    });
}

#[test]
fn signed_claims_of_any_value_are_refused_or_read_as_they_are() {
    let signer = Signer::new();
    let (header, claims) = signer.parts(NOW);
    let names: Vec<String> = claims.as_object().expect("object").keys().cloned().collect();
    let changes = vec((prop::sample::select(names), value()), 1..3);
    proptest!(cases(300), |(changes in changes)| {
        let mut claims = claims.clone();
        for (name, value) in changes {
            claims[name] = value;
        }
        let token = signer.sign(header.to_string(), claims.to_string());
        if let Ok(read) = issuer().verify(&signer.keys, &token, NOW) {
            prop_assert_eq!(serde_json::to_value(read).expect("JSON"), claims);
        }
    });
}

#[test]
fn signed_bytes_of_any_kind_are_refused() {
    let signer = Signer::new();
    let (header, claims) = signer.parts(NOW);
    let bytes = || vec(any::<u8>(), 0..300);
    proptest!(cases(200), |(head in bytes(), body in bytes())| {
        for token in [
            signer.sign(&head, &body),
            signer.sign(header.to_string(), &body),
            signer.sign(&head, claims.to_string()),
        ] {
            prop_assert!(issuer().verify(&signer.keys, &token, NOW).is_err());
        }
    });
}

#[test]
fn what_is_issued_is_what_is_read() {
    let signer = Signer::new();
    let scope = "[!#-\\[\\]-~]{1,20}( [!#-\\[\\]-~]{1,20}){0,9}";
    let grants = (any::<u128>(), any::<u128>(), 1..i32::MAX, scope, 0..=NOW);
    proptest!(cases(200), |((user, session, version, scope, auth_time) in grants, now in NOW..NOW * 2)| {
        let (user, session) = (Uuid::from_u128(user), Uuid::from_u128(session));
        let grant = Grant { user, session, version, scope: scope.clone(), auth_time };
        let token = issuer().issue(&signer.keys.signing(now).expect("signs"), grant, now);
        let read = issuer().verify(&signer.keys, &token, now).expect("good");
        let times = (read.iat, read.nbf, read.exp, read.auth_time);
        prop_assert_eq!(times, (now, now, now + 300, auth_time));
        prop_assert_eq!((read.sub, read.sid, read.ver), (user, session, version));
        prop_assert_eq!((read.scope, read.amr), (scope, vec!["pwd".to_owned()]));
        prop_assert_eq!((&*read.iss, &*read.aud), ("https://example.org", "https://example.org/api"));
    });
}
