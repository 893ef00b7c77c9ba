//! Who may come in: the Authorization header (RFC 9110, RFC 6750) on every route.

use roadstead::{api::routes, config::Settings};
use serde_json::json;

use crate::support::app::TestApp;

const CHALLENGE: &str = r#"Bearer realm="api""#;

#[test]
fn every_route_says_who_may_come_in_and_holds_to_it() {
    let app = TestApp::spawn();
    let (anon, user) = (app.anon(), app.user("ada"));
    let bad = anon.with_token("e30.e30.AAAA");
    for route in routes(&Settings::read([].into()).unwrap()) {
        let line = format!(
            "{} {}",
            route.method,
            route.path.replace("{id}", &uuid::Uuid::nil().to_string())
        );
        let asked = |client: &crate::support::app::Client| {
            client.send(&line, "Content-Type: application/json\r\n", b"")
        };
        let (of_anon, of_bad, of_user) = (asked(&anon), asked(&bad), asked(&user));
        match route.who {
            "everyone" => {
                let ignored = (of_anon.status, of_bad.status, of_user.status);
                assert!(ignored.0 != 401 || ignored.0 == ignored.1, "{line}: {ignored:?}");
                assert_eq!(ignored.0, ignored.1, "{line}: a bad token does not matter");
                assert_eq!(ignored.0, ignored.2, "{line}: nor does a good one");
            }
            "everyone, without a bad token" => {
                assert_ne!(of_anon.status, 401, "{line}");
                assert_eq!(of_bad.status, 401, "{line}");
            }
            who => {
                assert_eq!(of_anon.status, 401, "{line}");
                assert_eq!(of_anon.header("www-authenticate"), Some(CHALLENGE), "{line}");
                assert_eq!(of_anon.problem()["code"], "not_authenticated");
                assert_eq!(of_bad.status, 401, "{line}");
                assert_eq!(of_bad.problem()["code"], "token_invalid");
                let challenge = format!(r#"{CHALLENGE}, error="invalid_token""#);
                assert_eq!(of_bad.header("www-authenticate"), Some(&*challenge));
                match who {
                    "users" => assert_eq!(of_user.status, 403, "{line}"),
                    _ => assert!(![401, 403].contains(&of_user.status), "{line}"),
                }
            }
        }
        // Of another method nobody learns more than of a right one.
        let other = format!("TRACE {}", route.path.replace("{id}", "x"));
        let expected = if route.who.starts_with("everyone") { 405 } else { 401 };
        assert_eq!(anon.send(&other, "", b"").status, expected, "{other}");
    }
}

#[test]
fn a_scheme_has_no_case_and_one_space_behind_it() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let token = user.token();
    let asked = |header: &str| app.anon().send("GET /api/v1/me", &format!("{header}\r\n"), b"");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(asked(&format!("Authorization: {scheme} {token}")).status, 200);
    }
    for header in [
        "Authorization: Bearer".to_owned(),
        format!("Authorization: Bearer {token} {token}"),
        format!("Authorization: Bearer  {token}"),
        format!("Authorization: Bearer\t{token}"),
        format!("Authorization: Bearer {token}, x"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}"),
        "Authorization: Bearer é".to_owned(),
    ] {
        let reply = asked(&header);
        assert_eq!(reply.status, 400, "{header}");
        let challenge = format!(r#"{CHALLENGE}, error="invalid_request""#);
        assert_eq!(reply.header("www-authenticate"), Some(&*challenge));
        reply.problem();
    }
    for header in ["Authorization: Basic YTpi", "Authorization: Token x"] {
        let reply = asked(header);
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(CHALLENGE)));
    }
    let query = app.anon().get(&format!("/api/v1/me?access_token={token}"));
    assert_eq!(query.status, 401, "a token in the address is none");
    let long = asked(&format!("Authorization: Bearer {}", "x".repeat(5000)));
    assert_eq!(long.problem()["code"], "token_invalid");
}

#[test]
fn a_token_tells_who_somebody_is_without_a_query() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    app.change("DROP TABLE users CASCADE");
    assert_eq!(user.get("/api/v1/me").status, 500);
    let reply = user.get("/api/v1/drill/whoami");
    assert_eq!((reply.status, &reply.json()["scope"]), (200, &json!("account notes")));
    assert_eq!(app.anon().get("/api/v1/drill/whoami").status, 401);
}

#[test]
fn one_bit_changed_in_a_token_is_401() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    assert_eq!(user.get("/api/v1/me").status, 200);
    let token = user.token().as_bytes().to_vec();
    for position in (0..token.len()).step_by(7) {
        let mut spoilt = token.clone();
        spoilt[position] ^= 1;
        if spoilt[position] == b'.' || token[position] == b'.' {
            continue;
        }
        let spoilt = String::from_utf8(spoilt).unwrap();
        let reply = user.with_token(&spoilt).get("/api/v1/me");
        assert_eq!(reply.status, 401, "{spoilt}");
    }
}

#[test]
fn replies_are_for_their_reader_alone_and_head_is_get_without_a_body() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let get = user.get("/api/v1/me");
    assert_eq!(get.header("cache-control"), Some("private, no-store"));
    assert_eq!(get.header("vary"), Some("Authorization"));
    let head = user.send("HEAD /api/v1/me", "", b"");
    assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")));
    assert_eq!(app.anon().send("HEAD /api/v1/me", "", b"").status, 401);
    assert_eq!(user.send("OPTIONS /api/v1/me", "", b"").status, 405);
    let overridden = user.send("GET /api/v1/notes", "X-HTTP-Method-Override: DELETE\r\n", b"");
    assert_eq!(overridden.status, 200, "no header changes the method");
}

#[test]
fn the_list_of_accounts_is_for_administrators() {
    let app = TestApp::spawn();
    let (admin, user) = (app.admin(), app.user("ada"));
    let refused = user.get("/api/v1/users");
    assert_eq!(refused.status, 403);
    let challenge = format!(r#"{CHALLENGE}, error="insufficient_scope""#);
    assert_eq!(refused.header("www-authenticate"), Some(&*challenge));
    assert_eq!(refused.problem()["code"], "insufficient_scope");
    let list = admin.get("/api/v1/users").json();
    let emails = list["items"].as_array().unwrap().iter().map(|user| user["email"].clone());
    assert_eq!(emails.collect::<Vec<_>>(), [json!("admin@example.org"), json!("ada@example.org")]);
    assert!(!list.to_string().contains("password"), "{list}");
}

#[test]
fn the_public_keys_are_public_halves_only() {
    let app = TestApp::spawn();
    let reply = app.anon().get("/.well-known/jwks.json");
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    let keys = reply.json();
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("sig"))
    );
    assert!(key["kid"].is_string() && key["x"].is_string() && key["d"].is_null());
}
