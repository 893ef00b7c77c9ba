//! Claims, signed with the right key.

use serde_json::json;
use uuid::Uuid;

use super::{Table, random_keys};
use crate::auth::refresh::{self, RefreshToken};

/// B9 and B10.
pub fn times(table: &mut Table) {
    let now = table.now;
    table.without("B9", &["exp"]);
    table.claims("B9", "exp", &[json!(null), json!((now + 300).to_string()), json!(true)]);
    table.claims("B9", "exp", &[json!(now as f64 + 300.0), json!(-1), json!(0), json!([now])]);
    table.claims("B9", "exp", &[json!(now), json!(now - 1), json!(now - 301)]);
    let text = table.claims.to_string();
    for number in ["1e400", "-1e400", "1e10", "1.8e9", "18446744073709551616", "-0", "0x7fffffff"] {
        let claims = text.replace(&format!("\"exp\":{}", now + 300), &format!("\"exp\":{number}"));
        assert_ne!(claims, text);
        table.signed("B9", table.header.to_string(), claims);
    }

    table.without("B10", &["iat", "nbf", "auth_time"]);
    for name in ["iat", "nbf", "auth_time"] {
        table.claims("B10", name, &[json!(now + 6), json!(i64::MAX), json!(u64::MAX)]);
        table.claims("B10", name, &[json!(-1), json!(i64::MIN), json!(null), json!("1")]);
        table.claims("B10", name, &[json!(now as f64), json!([now]), json!(false)]);
    }
    let too_long = now + 901;
    table.claims("B10", "exp", &[json!(too_long), json!(1_000_000_000_000_000_000_i64)]);
    table.claims("B10", "exp", &[json!(i64::MAX), json!(u64::MAX)]);
    // Issued long ago, with an end that is still to come.
    table.claims("B10", "iat", &[json!(0), json!(now - 601)]);
    // Times in an order that has no sense.
    table.claims("B10", "nbf", &[json!(now - 1), json!(0)]);
    table.claims("B10", "auth_time", &[json!(now + 1)]);
    for times in [
        json!({"iat": now + 3, "nbf": now + 5, "exp": now + 4}),
        json!({"iat": now, "nbf": now + 4, "exp": now + 4}),
        json!({"iat": now + 4, "nbf": now + 4, "exp": now + 2}),
        json!({"iat": i64::MIN, "nbf": i64::MIN, "exp": i64::MAX, "auth_time": i64::MIN}),
        json!({"iat": -100, "nbf": -100, "exp": 800, "auth_time": -100}),
        json!({"iat": i64::MAX - 1, "nbf": i64::MAX - 1, "exp": i64::MAX}),
    ] {
        let mut claims = table.claims.clone();
        for (name, time) in times.as_object().expect("object") {
            claims[name] = time.clone();
        }
        table.signed("B10", table.header.to_string(), claims.to_string());
    }
}

/// B11 to B13.
pub fn identity(table: &mut Table) {
    let (ours, us) = ("https://example.org", "https://example.org/api");
    table.without("B11", &["iss", "aud"]);
    for iss in ["", "https://example.or", "https://example.org/", "https://example.org.evil"] {
        table.claims("B11", "iss", &[json!(iss)]);
    }
    table.claims("B11", "iss", &[json!([ours]), json!([ours, "x"]), json!(null), json!(1)]);
    table.claims("B11", "iss", &[json!("HTTPS://EXAMPLE.ORG"), json!({"iss": ours})]);
    table.claims("B11", "aud", &[json!(""), json!(ours), json!(1), json!(null), json!([])]);
    table.claims("B11", "aud", &[json!([us]), json!([us, "x"]), json!("https://example.org/apis")]);

    table.without("B12", &["sub", "jti", "sid", "ver", "scope", "amr"]);
    for name in ["sub", "jti", "sid"] {
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let spellings = [
            uuid.to_uppercase(),
            uuid.replace('-', ""),
            format!("{{{uuid}}}"),
            format!("urn:uuid:{uuid}"),
            format!(" {uuid}"),
            format!("{uuid}\0"),
            uuid[1..].into(),
            "root".into(),
            String::new(),
        ];
        table.claims("B12", name, &spellings.map(|text| json!(text)));
        table.claims("B12", name, &[json!(1), json!(null), json!([uuid]), json!(vec![15; 16])]);
    }
    table.claims("B12", "ver", &[json!(0), json!(-1), json!(i32::MIN), json!(1_i64 << 31)]);
    table.claims("B12", "ver", &[json!("1"), json!(1.0), json!(null), json!(true), json!([1])]);
    for scope in ["", " ", " notes", "notes ", "a  b", "a\tb", "a\"b", "a\\b", "a\0", "ä", "a\nb"]
    {
        table.claims("B12", "scope", &[json!(scope)]);
    }
    table.claims("B12", "scope", &[json!(["notes"]), json!(null), json!(1)]);
    table.claims("B12", "amr", &[json!([]), json!("pwd"), json!([1]), json!(null), json!({})]);
    table.claims("B12", "amr", &[json!([""]), json!(["a b"]), json!([["pwd"]]), json!([null])]);

    let keys = random_keys();
    let (kid, key) = keys.current(table.now);
    let token = RefreshToken { session: Uuid::new_v4(), generation: 1 };
    table.text("B13", "a refresh token", refresh::spell(token, kid, key));
    for kind in ["refresh", "email-verify", "reset", "mfa"] {
        table.claims("B13", "token_use", &[json!(kind)]);
        table.headers("B13", "typ", &[json!(format!("{kind}+jwt"))]);
    }
}
