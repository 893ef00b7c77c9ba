//! The dialect of djangorestframework-simplejwt. What is expected here is what version 5.5.1 answers, with Django REST
//! framework 3.18, `ROTATE_REFRESH_TOKENS`, `BLACKLIST_AFTER_ROTATION` and `email` as the user's name.

use serde_json::{Value, json};

use crate::support::{
    app::{Client, PASSWORD, TestApp},
    http::Reply,
};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// Each address, and the first of its fields.
const PATHS: [(&str, &str); 4] = [
    ("/api/token/", "email"),
    ("/api/token/refresh/", "refresh"),
    ("/api/token/verify/", "token"),
    ("/api/token/blacklist/", "refresh"),
];

fn send(client: &Client, path: &str, kind: &str, body: &[u8]) -> Reply {
    client.send(&format!("POST {path}"), &format!("Content-Type: {kind}\r\n"), body)
}

/// An account, and the tokens of its first session.
fn ada(app: &TestApp) -> (Value, Value) {
    app.user("ada");
    let credentials = json!({"email": "ada@example.org", "password": PASSWORD});
    let reply = app.anon().post("/api/token/", &credentials);
    assert_eq!(reply.status, 200, "{reply:?}");
    (credentials, reply.json())
}

fn refused(reply: &Reply, status: u16, body: &Value, case: &str) {
    assert_eq!((reply.status, &reply.json()), (status, body), "{case}");
    assert_eq!(reply.header("content-type"), Some(JSON), "{case}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{case}");
    let challenge = (status == 401).then_some(r#"Bearer realm="api""#);
    assert_eq!(reply.header("www-authenticate"), challenge, "{case}");
}

fn not_valid(reply: &Reply, detail: &str, case: &str) {
    refused(reply, 401, &json!({"detail": detail, "code": "token_not_valid"}), case);
}

#[test]
fn a_sign_in_gives_a_pair_that_works_on_every_other_route() {
    let app = TestApp::spawn();
    let (credentials, tokens) = ada(&app);
    assert_eq!(tokens.as_object().unwrap().len(), 2, "{tokens}");
    let access = tokens["access"].as_str().unwrap();
    assert_eq!(app.anon().with_token(access).get("/api/v1/me").status, 200);
    assert_eq!(app.value("SELECT kind FROM sessions ORDER BY created_at DESC"), "program");

    let form = b"email=ada%40example.org&password=ride+safely+at+anchor";
    let named = json!({"username": "ada@example.org", "password": PASSWORD});
    let mut more = credentials.clone();
    more["email"] = json!(" Ada@example.org ");
    more["remember"] = json!(true);
    let last = [br#"{"email":"x","#, &credentials.to_string().as_bytes()[1..]].concat();
    for (kind, body) in [
        (FORM, form.to_vec()),
        (FORM, [b"email=x&", form.as_slice()].concat()),
        (JSON, named.to_string().into()),
        (JSON, more.to_string().into()),
        (JSON, last),
        ("application/json; charset=utf-8", credentials.to_string().into()),
    ] {
        let reply = send(&app.anon().with_token("bad"), "/api/token/", kind, &body);
        let case = format!("{} {reply:?}", String::from_utf8_lossy(&body));
        assert_eq!(reply.status, 200, "{case}");
        assert!(reply.json()["refresh"].is_string(), "{case}");
        assert!(reply.header("cache-control").unwrap().contains("no-store"), "{case}");
    }
}

#[test]
fn nobody_learns_what_is_wrong_with_credentials() {
    let app = TestApp::spawn();
    let (credentials, _) = ada(&app);
    let body = json!({"detail": "No active account found with the given credentials"});
    for (name, value) in [
        ("password", json!("wrong")),
        ("password", json!(1)),
        ("password", json!("x".repeat(2000))),
        ("email", json!("bob@example.org")),
        ("email", json!("no address")),
        ("email", json!(1.5)),
    ] {
        let mut wrong = credentials.clone();
        wrong[name] = value;
        refused(&app.anon().post("/api/token/", &wrong), 401, &body, &wrong.to_string());
    }
    assert!(app.run(&["user", "disable", "ada@example.org"], "").0);
    refused(&app.anon().post("/api/token/", &credentials), 401, &body, "disabled");
}

#[test]
fn fields_are_refused_by_name_in_the_words_of_django() {
    let app = TestApp::spawn();
    let anon = app.anon();
    for (path, field) in PATHS {
        let expected = |problem: &str| {
            let mut body = json!({field: [problem]});
            if path == "/api/token/" {
                body["password"] = json!([problem]);
            }
            body
        };
        for (value, problem) in [
            (json!(null), "This field may not be null."),
            (json!(""), "This field may not be blank."),
            (json!("  "), "This field may not be blank."),
            (json!("a\0b"), "Null characters are not allowed."),
            (json!(true), "Not a valid string."),
            (json!(["a"]), "Not a valid string."),
            (json!({}), "Not a valid string."),
        ] {
            let reply = anon.post(path, &json!({field: value, "password": value}));
            refused(&reply, 400, &expected(problem), path);
        }
        let required = expected("This field is required.");
        refused(&anon.post(path, &json!({})), 400, &required, path);
        for kind in [JSON, FORM, "text/plain"] {
            refused(&send(&anon, path, kind, b""), 400, &required, kind);
        }
        refused(&send(&anon, path, FORM, b"a=b"), 400, &required, "a form");
        for (value, python) in [("[]", "list"), ("\"x\"", "str"), ("1", "int"), ("1.5", "float")] {
            let problem = format!("Invalid data. Expected a dictionary, but got {python}.");
            let reply = send(&anon, path, JSON, value.as_bytes());
            refused(&reply, 400, &json!({"non_field_errors": [problem]}), value);
        }
        let body = json!({"non_field_errors": ["No data provided"]});
        refused(&send(&anon, path, JSON, b"null"), 400, &body, path);
    }
}

#[test]
fn what_is_no_json_and_no_form_is_refused() {
    let app = TestApp::spawn();
    let anon = app.anon();
    for (path, _) in PATHS {
        for body in [b"{".as_slice(), b"{\"email\":\"\xff\"}", b"email=a"] {
            let reply = send(&anon, path, JSON, body);
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("JSON parse error - "), "{detail}");
            refused(&reply, 400, &json!({"detail": detail}), path);
        }
        for kind in ["text/plain", "application/problem+json", "multipart/form-data; boundary=x"] {
            let body = json!({"detail": format!("Unsupported media type \"{kind}\" in request.")});
            refused(&send(&anon, path, kind, b"{}"), 415, &body, path);
        }
        for method in ["GET", "PUT", "PATCH", "DELETE", "TRACE"] {
            let reply = anon.send(&format!("{method} {path}"), "", b"");
            let body = json!({"detail": format!("Method \"{method}\" not allowed.")});
            refused(&reply, 405, &body, path);
            assert_eq!(reply.header("allow"), Some("POST"));
        }
        let large = send(&anon, path, JSON, &vec![b' '; 300 * 1024]);
        assert_eq!((large.status, &large.json()["code"]), (413, &json!("body_too_large")));
    }
    // Only the four addresses speak so.
    assert_eq!(anon.post("/api/token/nope/", &json!({})).problem()["code"], "not_found");
    assert_eq!(anon.post("/api/token", &json!({})).problem()["code"], "not_found");
}

#[test]
fn a_refresh_gives_the_next_pair_and_ends_the_session_that_one_is_stolen_from() {
    let app = TestApp::spawn();
    let (_, first) = ada(&app);
    let refresh = |tokens: &Value| {
        app.anon().post("/api/token/refresh/", &json!({"refresh": tokens["refresh"], "more": 1}))
    };
    let second = refresh(&first);
    assert_eq!(second.status, 200);
    let second = second.json();
    assert_eq!(second.as_object().unwrap().len(), 2, "{second}");
    assert_ne!(second["refresh"], first["refresh"]);
    // Where SimpleJWT refuses: an answer that got lost is given again, for ten seconds.
    app.change("UPDATE sessions SET rotated_at = now() + interval '1 minute'");
    assert_eq!(refresh(&first).json()["refresh"], second["refresh"]);

    app.change("UPDATE sessions SET rotated_at = now() - interval '11 seconds'");
    not_valid(&refresh(&first), "Token is blacklisted", "reused");
    not_valid(&refresh(&second), "Token is blacklisted", "its successor");
    let access = app.anon().with_token(second["access"].as_str().unwrap());
    assert_eq!(access.get("/api/v1/me").problem()["code"], "token_revoked");
}

#[test]
fn tokens_that_are_none_are_not_valid() {
    let app = TestApp::spawn();
    let (credentials, tokens) = ada(&app);
    let (access, refresh) =
        (tokens["access"].as_str().unwrap(), tokens["refresh"].as_str().unwrap());
    for (path, field) in &PATHS[1..] {
        for garbage in
            [json!("x"), json!(1), json!(format!("{access}x")), json!(format!("{refresh}x"))]
        {
            not_valid(&app.anon().post(path, &json!({*field: garbage})), "Token is invalid", path);
        }
        if *field == "refresh" {
            not_valid(&app.anon().post(path, &json!({*field: access})), "Token is invalid", path);
        }
    }
    // A browser's belongs in its cookie.
    let signed_in = app.anon().send(
        "POST /api/v1/auth/session",
        "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n",
        credentials.to_string().as_bytes(),
    );
    let cookie = signed_in.header("set-cookie").unwrap();
    let (cookie, _) = cookie.split_once(';').unwrap();
    let (_, browsers) = cookie.split_once('=').unwrap();
    for (path, field) in &PATHS[1..3] {
        not_valid(&app.anon().post(path, &json!({*field: browsers})), "Token is invalid", path);
    }

    app.change("UPDATE sessions SET idle_expires_at = now() - interval '1 second'");
    for (path, field) in &PATHS[1..] {
        let reply = app.anon().post(path, &json!({*field: refresh}));
        not_valid(&reply, "Token is expired", path);
    }
    app.change("DELETE FROM sessions");
    let reply = app.anon().post("/api/token/verify/", &json!({"token": refresh}));
    not_valid(&reply, "Token is expired", "so old that it is not kept");
}

#[test]
fn both_tokens_can_be_verified() {
    let app = TestApp::spawn();
    let (_, tokens) = ada(&app);
    let verify = |token: &Value| app.anon().post("/api/token/verify/", &json!({"token": token}));
    for token in [&tokens["access"], &tokens["refresh"]] {
        let reply = verify(token);
        assert_eq!((reply.status, reply.json()), (200, json!({})));
    }
    assert_eq!(app.value("SELECT max(generation) FROM sessions"), "1", "it changes nothing");
    app.anon().post("/api/token/refresh/", &json!({"refresh": tokens["refresh"]}));
    let used = json!({"non_field_errors": ["Token is blacklisted"]});
    refused(&verify(&tokens["refresh"]), 400, &used, "a used one");
    app.anon().post("/api/token/blacklist/", &json!({"refresh": tokens["refresh"]}));
    not_valid(&verify(&tokens["access"]), "Token is blacklisted", "an access token that has ended");
}

#[test]
fn a_blacklisted_refresh_token_ends_its_session() {
    let app = TestApp::spawn();
    let (_, tokens) = ada(&app);
    let blacklist =
        || app.anon().post("/api/token/blacklist/", &json!({"refresh": tokens["refresh"]}));
    let reply = blacklist();
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    let access = app.anon().with_token(tokens["access"].as_str().unwrap());
    assert_eq!(access.get("/api/v1/me").problem()["code"], "token_revoked");
    not_valid(&blacklist(), "Token is blacklisted", "again");
    for (path, field) in &PATHS[1..2] {
        let reply = app.anon().post(path, &json!({*field: tokens["refresh"]}));
        not_valid(&reply, "Token is blacklisted", path);
    }
    let reply = app.anon().post("/api/token/verify/", &json!({"token": tokens["refresh"]}));
    refused(&reply, 400, &json!({"non_field_errors": ["Token is blacklisted"]}), "verified");
}

#[test]
fn the_session_of_a_used_token_ends_too() {
    let app = TestApp::spawn();
    let (_, first) = ada(&app);
    let refresh = json!({"refresh": first["refresh"]});
    let second = app.anon().post("/api/token/refresh/", &refresh).json();
    not_valid(&app.anon().post("/api/token/blacklist/", &refresh), "Token is blacklisted", "used");
    let access = app.anon().with_token(second["access"].as_str().unwrap());
    assert_eq!(access.get("/api/v1/me").problem()["code"], "token_revoked");
}

#[test]
fn a_fault_of_ours_has_our_own_shape() {
    let app = TestApp::spawn();
    let (credentials, tokens) = ada(&app);
    app.change("DROP TABLE sessions CASCADE");
    for (path, body) in [
        ("/api/token/", credentials),
        ("/api/token/refresh/", json!({"refresh": tokens["refresh"]})),
        ("/api/token/verify/", json!({"token": tokens["refresh"]})),
        ("/api/token/blacklist/", json!({"refresh": tokens["refresh"]})),
    ] {
        let reply = app.anon().post(path, &body);
        assert_eq!((reply.status, &reply.problem()["code"]), (500, &json!("internal")), "{path}");
    }
}
