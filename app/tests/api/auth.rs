//! Sign-in, refresh, sign-out and invitations.

use roadstead::auth::secret::decode;
use serde_json::{Value, json};

use crate::support::{
    app::{Client, PASSWORD, TestApp},
    block_on,
    http::{Connection, Reply},
};

const PAGE: &str = "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\nOrigin: https://localhost\r\n";

fn refresh(app: &TestApp, token: &str) -> Reply {
    app.anon().post("/api/v1/auth/token/refresh", &json!({"refresh_token": token}))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// An account, and the first pair of tokens of a session.
fn signed_in(app: &TestApp) -> Value {
    app.user("ada");
    let reply = app.sign_in("ada@example.org", PASSWORD);
    assert_eq!(reply.status, 200);
    reply.json()
}

/// The browser's cookie out of a reply.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap();
    for word in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(word), "{set}");
    }
    assert!(set.starts_with("__Host-refresh=") && !set.contains("Domain"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn a_sign_in_gives_a_pair_of_tokens() {
    let app = TestApp::spawn();
    let tokens = signed_in(&app);
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]),
        (&json!("Bearer"), &json!(300), &json!("account notes"))
    );
    let me = app.anon().with_token(text(&tokens["access_token"])).get("/api/v1/me").json();
    assert_eq!((&me["email"], &me["admin"]), (&json!("ada@example.org"), &json!(false)));
    // The address in another spelling is the same account.
    assert_eq!(app.sign_in(" Ada@Example.ORG ", PASSWORD).status, 200);
    assert_eq!(
        app.value("SELECT count(*) FROM audit_events WHERE event = 'authn_login_success'"),
        "3"
    );
    assert_eq!(app.value("SELECT count(*) FROM users WHERE last_sign_in_at IS NOT NULL"), "1");
}

#[test]
fn how_long_an_access_token_lives_is_a_setting() {
    let app = TestApp::with(&[("ROADSTEAD_AUTH__ACCESS_LIFETIME_S", "30")]);
    let tokens = signed_in(&app);
    let claims = text(&tokens["access_token"]).split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&decode(claims).unwrap()).unwrap();
    let time = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!((tokens["expires_in"].as_i64(), time("exp") - time("iat")), (Some(30), 30));
}

#[test]
fn a_refused_sign_in_does_not_tell_why() {
    let app = TestApp::spawn();
    app.user("ada");
    app.user("bob");
    assert!(app.run(&["user", "disable", "bob@example.org"], "").0);
    let replies = [
        ("ada@example.org", "not her password"),
        ("nobody@example.org", PASSWORD),
        ("bob@example.org", PASSWORD),
    ]
    .map(|(email, password)| app.sign_in(email, password));
    for reply in &replies {
        let mut problem = reply.problem();
        problem["request_id"].take();
        let mut first = replies[0].problem();
        first["request_id"].take();
        assert_eq!((reply.status, problem), (401, first));
    }
    assert_eq!(
        app.value("SELECT count(*) FROM audit_events WHERE event = 'authn_login_fail'"),
        "3"
    );
}

#[test]
fn bodies_of_a_sign_in_are_checked_before_any_hash() {
    let app = TestApp::spawn();
    let anon = app.anon();
    let long = "x".repeat(1025);
    for (body, field) in [
        (json!({"email": "ada@example.org"}), "password"),
        (json!({"password": PASSWORD}), "email"),
        (json!({"email": "ada@example.org", "password": PASSWORD, "admin": true}), "admin"),
        (json!({"email": "no address", "password": PASSWORD}), "email"),
        (json!({"email": "ada@example.org", "password": long}), "password"),
        (json!({"email": "ada@example.org", "password": ""}), "password"),
    ] {
        let reply = anon.post("/api/v1/auth/token", &body);
        assert_eq!(
            (reply.status, &reply.problem()["errors"][0]["field"]),
            (400, &json!(field)),
            "{body}"
        );
    }
    let form = anon.send("POST /api/v1/auth/token", "Content-Type: text/plain\r\n", b"{}");
    assert_eq!(form.status, 415);
}

#[test]
fn a_refresh_gives_a_new_pair_and_repeats_it_for_a_moment() {
    let app = TestApp::spawn();
    let first = signed_in(&app);
    let second = refresh(&app, text(&first["refresh_token"])).json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    for tokens in [&first, &second] {
        let client = app.anon().with_token(text(&tokens["access_token"]));
        assert_eq!(client.get("/api/v1/me").status, 200, "the old one lives until its end");
    }
    // The reply was lost: the same again gives the same successor.
    let again = refresh(&app, text(&first["refresh_token"])).json();
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    assert_eq!(refresh(&app, text(&second["refresh_token"])).status, 200);
    assert_eq!(app.value("SELECT count(*) FROM sessions WHERE generation = 3"), "1");
}

#[test]
fn a_refresh_token_that_comes_twice_ends_its_session() {
    for late in [false, true] {
        let app = TestApp::spawn();
        let first = signed_in(&app);
        let second = refresh(&app, text(&first["refresh_token"])).json();
        let newest = if late {
            // The successor is unused, but the moment is over.
            app.change("UPDATE sessions SET rotated_at = rotated_at - interval '11 seconds'");
            second
        } else {
            refresh(&app, text(&second["refresh_token"])).json()
        };
        let reused = refresh(&app, text(&first["refresh_token"]));
        assert_eq!((reused.status, &reused.problem()["code"]), (400, &json!("invalid_grant")));
        assert_eq!(refresh(&app, text(&newest["refresh_token"])).status, 400, "the thief's too");
        assert_eq!(app.value("SELECT count(*) FROM sessions WHERE revoked_reason = 'reuse'"), "1");
        assert_eq!(
            app.value("SELECT count(*) FROM audit_events WHERE event = 'authn_token_reuse'"),
            "1"
        );
    }
}

#[test]
fn fifty_refreshes_at_once_give_one_successor() {
    let app = TestApp::spawn();
    let first = signed_in(&app);
    let token = text(&first["refresh_token"]);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..50).map(|_| scope.spawn(|| refresh(&app, token))).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    let mut successors: Vec<_> = replies
        .iter()
        .inspect(|reply| assert_eq!(reply.status, 200, "{reply:?}"))
        .map(|reply| reply.json()["refresh_token"].clone())
        .collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_eq!(app.value("SELECT generation FROM sessions ORDER BY created_at DESC LIMIT 1"), "2");
}

#[test]
fn what_is_no_refresh_token_is_refused_in_one_way() {
    let app = TestApp::spawn();
    let tokens = signed_in(&app);
    let good = text(&tokens["refresh_token"]);
    let elsewhere = TestApp::spawn();
    let mut bodies = Vec::new();
    let other_key = signed_in(&elsewhere);
    for token in [
        "",
        "x",
        text(&tokens["access_token"]),
        &good[..good.len() - 1],
        &good.replace(".1.", ".2."),
        &format!("{good} "),
        text(&other_key["refresh_token"]),
    ] {
        let mut problem = refresh(&app, token).problem();
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(400), &json!("invalid_grant")),
            "{token}"
        );
        problem["request_id"].take();
        bodies.push(problem);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(app.anon().with_token(good).get("/api/v1/me").status, 401, "it is no access token");
    // Neither beyond the session's end, nor for a disabled account.
    app.change("UPDATE sessions SET idle_expires_at = now() - interval '1 second'");
    assert_eq!(refresh(&app, good).status, 400);
    app.change("UPDATE sessions SET idle_expires_at = now() + interval '1 day'");
    assert_eq!(refresh(&app, good).status, 200);
}

#[test]
fn no_refresh_token_password_or_address_is_in_the_database_dump_or_the_log() {
    let app = TestApp::spawn();
    let tokens = signed_in(&app);
    app.sign_in("ada@example.org\r\n{\"level\":\"ERROR\"}", "wrong \n password");
    app.sign_in("ada@example.org", "wrong \n password");
    refresh(&app, text(&tokens["refresh_token"]));
    let mac = text(&tokens["refresh_token"]).rsplit('.').next().unwrap();
    let log = app.slot.log();
    let dump = app.dump();
    for secret in [mac, PASSWORD, text(&tokens["access_token"])] {
        assert!(!log.contains(secret) && !dump.contains(secret), "{secret}");
    }
    assert!(!log.contains("ada@"), "{log}");
    assert!(log.lines().all(|line| line.starts_with('{')), "no forged line: {log}");
}

#[test]
fn a_revoked_session_is_over_and_garbage_is_no_error() {
    let app = TestApp::spawn();
    let tokens = signed_in(&app);
    let revoke = |body: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        app.anon().send("POST /api/v1/auth/token/revoke", form, body.as_bytes()).status
    };
    assert_eq!(revoke("token=garbage"), 200);
    assert_eq!(revoke("nothing=here"), 400);
    let good = text(&tokens["refresh_token"]);
    assert_eq!(revoke(&format!("token={good}&token_type_hint=refresh_token")), 200);
    assert_eq!(refresh(&app, good).status, 400);
    assert_eq!(revoke(&format!("token={good}")), 200);
}

#[test]
fn a_browser_s_refresh_token_is_in_a_cookie_that_scripts_cannot_read() {
    let app = TestApp::spawn();
    app.user("ada");
    let body = json!({"email": "ada@example.org", "password": PASSWORD}).to_string();
    let anon = app.anon();
    let reply = anon.send("POST /api/v1/auth/session", PAGE, body.as_bytes());
    let first = cookie(&reply);
    let tokens = reply.json();
    assert!(tokens["refresh_token"].is_null() && tokens["access_token"].is_string());

    let with = |cookie: &str| format!("{PAGE}Cookie: other=1; {cookie}\r\n");
    let refreshed = anon.send("POST /api/v1/auth/session/refresh", &with(&first), b"");
    assert_eq!(refreshed.status, 200);
    let second = cookie(&refreshed);
    assert_ne!(first, second);
    // A browser's token is not a program's.
    let value = second.split_once('=').unwrap().1;
    assert_eq!(refresh(&app, value).status, 400);

    let ended = anon.send("DELETE /api/v1/auth/session", &with(&second), b"");
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(anon.send("POST /api/v1/auth/session/refresh", &with(&second), b"").status, 400);
    assert_eq!(anon.send("POST /api/v1/auth/session/refresh", PAGE, b"").status, 400);
}

#[test]
fn another_site_s_page_is_refused() {
    let app = TestApp::spawn();
    app.user("ada");
    let body = json!({"email": "ada@example.org", "password": PASSWORD}).to_string();
    for (head, status) in [
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Origin: https://localhost\r\n", 200),
        ("X-Requested-With: roadstead\r\n", 200),
        ("", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Sec-Fetch-Site: none\r\n", 403),
        ("Sec-Fetch-Site: same-origin\r\nOrigin: https://evil.example\r\n", 403),
        ("Origin: https://localhost:8443\r\n", 403),
        ("Origin: http://localhost\r\n", 403),
        ("Origin: null\r\nX-Requested-With: roadstead\r\n", 403),
    ] {
        let head = format!("Content-Type: application/json\r\n{head}");
        let reply = app.anon().send("POST /api/v1/auth/session", &head, body.as_bytes());
        assert_eq!(reply.status, status, "{head}");
        if status == 403 {
            assert_eq!(reply.problem()["code"], "cross_site");
        }
    }
}

#[test]
fn a_sign_out_by_access_token_ends_that_session_whatever_the_cookie_says() {
    let app = TestApp::spawn();
    let tokens = signed_in(&app);
    let client = app.anon().with_token(text(&tokens["access_token"]));
    assert_eq!(client.send("DELETE /api/v1/auth/session", PAGE, b"").status, 204);
    assert_eq!(refresh(&app, text(&tokens["refresh_token"])).status, 400);
}

#[test]
fn an_invitation_becomes_an_account_once() {
    let app = TestApp::spawn();
    let (made, link) = app.run(&["user", "invite", "Grace@Example.org", "--admin"], "");
    assert!(made, "{link}");
    let link = link.trim().strip_prefix("https://localhost/invitation#token=").unwrap();
    let (token, email) = link.split_once("&email=").unwrap();
    assert_eq!(email, "grace%40example.org");
    let email = "grace@example.org";
    let accept = |token: &str, email: &str, password: &str| {
        let body = json!({"token": token, "email": email, "password": password});
        app.anon().post("/api/v1/auth/invitation", &body)
    };
    for (password, field) in
        [("too short", "password"), (&*"x".repeat(129), "password"), ("grace was here", "password")]
    {
        let problem = accept(token, email, password).problem();
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(400), &json!(field))
        );
    }
    assert_eq!(accept("x", email, PASSWORD).problem()["code"], "invalid_invitation");
    assert_eq!(
        accept(token, "other@example.org", PASSWORD).problem()["code"],
        "invalid_invitation"
    );
    app.change("UPDATE invitations SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '31 minutes'");
    assert_eq!(accept(token, email, PASSWORD).problem()["code"], "invalid_invitation");
    app.change("UPDATE invitations SET expires_at = expires_at + interval '31 minutes'");

    let accepted = accept(token, email, PASSWORD);
    assert_eq!((accepted.status, &accepted.json()["email"]), (201, &json!(email)));
    assert_eq!(accept(token, email, PASSWORD).problem()["code"], "invalid_invitation");
    let tokens = app.sign_in(email, PASSWORD).json();
    let admin: Client = app.anon().with_token(text(&tokens["access_token"]));
    assert_eq!(admin.get("/api/v1/users").status, 200);
    let dump = app.dump();
    assert!(!dump.contains(token), "only its hash is kept");
}

#[test]
fn accounts_are_managed_from_the_command_line() {
    let app = TestApp::spawn();
    assert_eq!(app.run(&["user", "list", "--admins", "--count"], "").1.trim(), "0");
    let create = |email: &str, password: &str| {
        app.run(&["user", "create", email, "--admin", "--password-stdin"], password)
    };
    assert!(create("ada@example.org", &format!("{PASSWORD}\n")).0);
    assert_eq!(app.run(&["user", "list", "--admins", "--count"], "").1.trim(), "1");
    assert_eq!(app.sign_in("ada@example.org", PASSWORD).status, 200, "without the line's end");
    for (email, password, word) in [
        ("ada@example.org", PASSWORD, "has an account already"),
        ("no address", PASSWORD, "no e-mail address"),
        ("bob@example.org", "short", "12 to 128"),
    ] {
        let (made, said) = create(email, password);
        assert!(!made && said.contains(word), "{said}");
    }
    let (made, said) = app.run(&["user", "invite", "ada@example.org"], "");
    assert!(!made && said.contains("has an account already"), "{said}");

    let tokens = app.sign_in("ada@example.org", PASSWORD).json();
    assert!(app.run(&["user", "disable", "ada@example.org"], "").0);
    assert_eq!(refresh(&app, text(&tokens["refresh_token"])).status, 400);
    let (listed, list) = app.run(&["user", "list"], "");
    assert!(listed && list.contains("disabled  ada@example.org"), "{list}");
    assert!(!app.run(&["user", "disable", "nobody@example.org"], "").0);
}

#[test]
fn without_its_database_the_app_says_503_and_recovers() {
    let app = TestApp::with(&[("ROADSTEAD_DATABASE__WAIT_MS", "300")]);
    let user = app.user("ada");
    block_on(app.site.db.cut_off());
    let reply = user.get("/api/v1/notes");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.problem()["code"], "unavailable");
    assert_eq!(app.sign_in("ada@example.org", PASSWORD).status, 503, "not 401");
    assert_eq!(user.get("/health/live").status, 200);
    block_on(app.site.db.restore());
    assert_eq!(user.get("/api/v1/notes").status, 200);
}

#[test]
fn a_client_that_hangs_up_during_a_request_harms_nobody() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    for _ in 0..20 {
        let mut connection = Connection::open(&app.slot.socket).unwrap();
        let token = user.token();
        let head = format!(
            "GET /api/v1/notes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        connection.send(head.as_bytes()).unwrap();
    }
    assert_eq!(user.get("/api/v1/notes").status, 200);
}
