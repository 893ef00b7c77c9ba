//! Sessions and accounts: what their owners and administrators may do with them, and what ends by it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    app::{Client, PASSWORD, TestApp},
    block_on,
    database::session,
    http::{Connection, Reply},
    until,
};

const PAGE: &str = "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\nOrigin: https://localhost\r\n";
const OTHER: &str = "made fast with a bowline";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn refresh(app: &TestApp, tokens: &Value) -> Reply {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    app.anon().post("/api/v1/auth/token/refresh", &body)
}

/// Another session of `ada`, who is there already.
fn sign_in(app: &TestApp) -> Value {
    let reply = app.sign_in("ada@example.org", PASSWORD);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn client<'a>(app: &'a TestApp, tokens: &Value) -> Client<'a> {
    app.anon().with_token(text(&tokens["access_token"]))
}

fn assert_dead(app: &TestApp, tokens: &Value) {
    let reply = client(app, tokens).get("/api/v1/me");
    assert_eq!((reply.status, &reply.problem()["code"]), (401, &json!("token_revoked")));
    let challenge = r#"Bearer realm="api", error="invalid_token""#;
    assert_eq!(reply.header("www-authenticate"), Some(challenge));
    assert_eq!(refresh(app, tokens).problem()["code"], "invalid_grant");
}

fn assert_alive(app: &TestApp, tokens: &Value) {
    assert_eq!(client(app, tokens).get("/api/v1/me").status, 200);
}

fn events(app: &TestApp, event: &str) -> String {
    app.value(&format!("SELECT count(*) FROM audit_events WHERE event = '{event}'"))
}

#[test]
fn d7_a_refresh_does_not_move_the_absolute_end() {
    let app = TestApp::spawn();
    app.user("ada");
    let tokens = sign_in(&app);
    app.change("UPDATE sessions SET created_at = now() - interval '29 days', expires_at = now() + interval '1 day',
             idle_expires_at = now() + interval '1 hour'",);
    let next = refresh(&app, &tokens).json();
    let end = "SELECT count(*) FROM sessions WHERE generation = 2 AND idle_expires_at = expires_at
               AND expires_at < now() + interval '1 day'";
    assert_eq!(app.value(end), "1");
    app.change("UPDATE sessions SET expires_at = now(), idle_expires_at = now()");
    assert_eq!(refresh(&app, &next).problem()["code"], "invalid_grant");
}

#[test]
fn d10_a_refresh_whose_answer_was_lost_by_a_kill_works_again() {
    let app = TestApp::spawn();
    app.user("ada");
    let tokens = sign_in(&app);
    let body = json!({"refresh_token": tokens["refresh_token"]}).to_string();
    let mut connection = Connection::open(&app.slot.socket).unwrap();
    let head = format!(
        "POST /api/v1/auth/token/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.send(head.as_bytes()).unwrap();
    connection.send(body.as_bytes()).unwrap();
    while app.value("SELECT count(*) FROM sessions WHERE generation = 2") == "0" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let TestApp { slot, site } = app;
    slot.kill();
    // Waits until it has gone, and its lock with it.
    drop(slot);
    drop(connection);

    let again = TestApp { slot: site.ready("blue"), site };
    let next = refresh(&again, &tokens);
    assert_eq!(next.status, 200, "{next:?}");
    assert_alive(&again, &next.json());
    assert_eq!(again.value("SELECT count(*) FROM sessions WHERE generation = 2"), "1");
}

#[test]
fn d3_a_token_used_twice_ends_the_access_tokens_too() {
    let app = TestApp::spawn();
    app.user("ada");
    let first = sign_in(&app);
    let second = refresh(&app, &first).json();
    let third = refresh(&app, &second).json();
    assert_eq!(refresh(&app, &first).status, 400);
    for tokens in [&first, &second, &third] {
        assert_dead(&app, tokens);
    }
}

#[test]
fn e1_after_a_sign_out_the_same_connection_s_next_request_is_401() {
    let app = TestApp::spawn();
    app.user("ada");
    for _ in 0..5 {
        let tokens = sign_in(&app);
        let client = client(&app, &tokens);
        assert_eq!(client.get("/api/v1/me").status, 200);
        assert_eq!(client.send("DELETE /api/v1/auth/session", PAGE, b"").status, 204);
        assert_eq!(client.get("/api/v1/me").problem()["code"], "token_revoked");
        assert_dead(&app, &tokens);
    }
    assert_eq!(events(&app, "authn_token_revoked"), "5");
}

#[test]
fn e2_all_other_sessions_end_at_once() {
    let app = TestApp::spawn();
    let here = app.user("ada");
    let others = [sign_in(&app), sign_in(&app)];
    let bob = app.user("bob");
    assert_eq!(here.delete("/api/v1/sessions").status, 204);
    others.iter().for_each(|tokens| assert_dead(&app, tokens));
    assert_eq!(here.get("/api/v1/me").status, 200);
    let other = sign_in(&app);
    for odd in ["current=yes", "currant=true"] {
        assert_eq!(here.delete(&format!("/api/v1/sessions?{odd}")).status, 400, "{odd}");
    }
    assert_eq!(here.delete("/api/v1/sessions?current=true").status, 204);
    assert_dead(&app, &other);
    assert_eq!(here.get("/api/v1/me").problem()["code"], "token_revoked");
    assert_eq!(bob.get("/api/v1/me").status, 200);
}

#[test]
fn e3_a_revocation_says_200_to_everything_and_ends_what_is_the_caller_s() {
    let app = TestApp::spawn();
    app.user("ada");
    let (tokens, other) = (sign_in(&app), sign_in(&app));
    let revoke = |body: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        app.anon().send("POST /api/v1/auth/token/revoke", form, body.as_bytes()).status
    };
    // RFC 7009 section 2.2; who holds a refresh token may end its session, and nobody else.
    let good = text(&tokens["refresh_token"]);
    let forged = good.replace(".1.", ".2.");
    for body in ["token=garbage", "token=", &format!("token={forged}")] {
        assert_eq!(revoke(body), 200, "{body}");
    }
    assert_eq!(revoke("token_type_hint=refresh_token"), 400);
    assert_alive(&app, &tokens);
    assert_eq!(revoke(&format!("token={good}")), 200);
    assert_dead(&app, &tokens);
    assert_alive(&app, &other);
}

#[test]
fn e5_sessions_are_listed_with_their_last_use_and_end_one_by_one() {
    let app = TestApp::spawn();
    let here = app.user("ada");
    let other = sign_in(&app);
    let list = || here.get("/api/v1/sessions").json()["items"].as_array().unwrap().clone();
    let items = list();
    assert_eq!(items.len(), 2);
    let current: Vec<_> = items.iter().filter(|item| item["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert!(!items[0].to_string().contains("token"), "{items:?}");

    let id = items.iter().find(|item| item["current"] == false).unwrap()["id"].clone();
    let path = format!("/api/v1/sessions/{}", text(&id));
    assert_eq!(app.user("bob").delete(&path).status, 404, "another one's");
    assert_alive(&app, &other);
    assert_eq!(here.delete(&path).status, 204);
    assert_dead(&app, &other);
    assert_eq!(here.delete(&path).status, 404);

    // A use is noted beside the requests, and written for all sessions at once.
    app.change("UPDATE sessions SET created_at = created_at - interval '1 day', rotated_at = rotated_at - interval '1 day'");
    let used = "SELECT count(*) FROM sessions WHERE last_used_at > now() - interval '1 minute'";
    app.slot.wait_for(|_| app.value(used) != "0");
    let item = &list()[0];
    assert!(text(&item["last_used_at"]) > text(&item["created_at"]), "{item}");
}

#[test]
fn e6_a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let app = TestApp::spawn();
    app.user("ada");
    let (here, other) = (sign_in(&app), sign_in(&app));
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        client(&app, &here).post("/api/v1/auth/password", &body)
    };
    for (current, new, field) in [
        ("not her password", OTHER, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
        (PASSWORD, &*"x".repeat(129), "new_password"),
    ] {
        let problem = change(current, new).problem();
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(400), &json!(field))
        );
    }
    assert_alive(&app, &other);
    let changed = change(PASSWORD, OTHER);
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_dead(&app, &other);
    // Nor has anybody who has stolen her own.
    assert_dead(&app, &here);
    assert_alive(&app, &changed.json());
    assert_eq!(refresh(&app, &changed.json()).status, 200);
    assert_eq!(app.sign_in("ada@example.org", PASSWORD).status, 401);
    assert_eq!(app.sign_in("ada@example.org", OTHER).status, 200);
    assert_eq!(events(&app, "authn_password_change"), "1");
    assert_eq!(events(&app, "authn_password_change_fail"), "1");
    let dump = app.dump();
    assert!(!dump.contains(OTHER) && !app.slot.log().contains(OTHER));
}

#[test]
fn e6_a_sign_in_with_the_old_password_does_not_outlive_its_change() {
    let app = TestApp::spawn();
    app.user("ada");
    let sessions = || app.value("SELECT count(*) FROM sessions");
    let before = sessions();
    // Hers is changed, and that is not committed yet, while the old one is found right.
    let superuser = app.site.db.superuser();
    let change = block_on(session(&superuser));
    let sql =
        "BEGIN; UPDATE users SET password_hash = replace(password_hash, 'm=65536', 'm=65535')";
    block_on(change.batch_execute(sql)).unwrap();
    std::thread::scope(|scope| {
        let signing_in = scope.spawn(|| app.sign_in("ada@example.org", PASSWORD));
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the sign-in waits for the change", || app.value(waits) == "1");
        block_on(change.batch_execute("COMMIT")).unwrap();
        let reply = signing_in.join().unwrap();
        assert_eq!((reply.status, &reply.problem()["code"]), (401, &json!("wrong_credentials")));
    });
    assert_eq!(sessions(), before);
    assert_eq!(events(&app, "authn_login_fail"), "1");
}

#[test]
fn e6_a_browser_s_new_pair_is_in_its_cookie() {
    let app = TestApp::spawn();
    app.user("ada");
    let body = json!({"email": "ada@example.org", "password": PASSWORD}).to_string();
    let signed_in = app.anon().send("POST /api/v1/auth/session", PAGE, body.as_bytes());
    let here = client(&app, &signed_in.json());
    let body = json!({"current_password": PASSWORD, "new_password": OTHER});
    let changed = here.post("/api/v1/auth/password", &body);
    assert_eq!(changed.status, 200);
    assert!(changed.json()["refresh_token"].is_null());
    let cookie = changed.header("set-cookie").unwrap().split(';').next().unwrap();
    let head = format!("{PAGE}Cookie: {cookie}\r\n");
    assert_eq!(app.anon().send("POST /api/v1/auth/session/refresh", &head, b"").status, 200);
}

#[test]
fn e7_d8_a_disabled_account_is_out_and_an_enabled_one_may_sign_in_again() {
    let app = TestApp::spawn();
    let admin = app.admin();
    app.user("ada");
    let tokens = sign_in(&app);
    let id = app.value("SELECT id FROM users WHERE email = 'ada@example.org'");
    let path = format!("/api/v1/users/{id}");
    let disabled = admin.patch(&path, &json!({"disabled": true}));
    assert_eq!((disabled.status, &disabled.json()["disabled"]), (200, &json!(true)));
    assert_dead(&app, &tokens);
    assert_eq!(app.sign_in("ada@example.org", PASSWORD).status, 401);
    assert_eq!(admin.patch(&path, &json!({"disabled": false})).json()["disabled"], false);
    assert_dead(&app, &tokens);
    assert_alive(&app, &sign_in(&app));
    assert_eq!(
        (events(&app, "user_disabled"), events(&app, "user_enabled")),
        ("1".into(), "1".into())
    );
}

#[test]
fn e7_a_right_comes_and_goes_by_a_refresh_without_signing_in_again() {
    let app = TestApp::spawn();
    let admin = app.admin();
    app.user("ada");
    let id = app.value("SELECT id FROM users WHERE email = 'ada@example.org'");
    let path = format!("/api/v1/users/{id}");
    let mut tokens = sign_in(&app);
    for (granted, status) in [(true, 200), (false, 403)] {
        assert_eq!(admin.patch(&path, &json!({"admin": granted})).json()["admin"], granted);
        let reply = client(&app, &tokens).get("/api/v1/users");
        assert_eq!((reply.status, &reply.problem()["code"]), (401, &json!("token_revoked")));
        tokens = refresh(&app, &tokens).json();
        assert_eq!(client(&app, &tokens).get("/api/v1/users").status, status);
    }
    assert_eq!(events(&app, "privilege_permissions_changed"), "2");
}

#[test]
fn an_administrator_s_change_is_checked_and_is_not_for_their_own_account() {
    let app = TestApp::spawn();
    let admin = app.admin();
    let user = app.user("ada");
    let own = app.value("SELECT id FROM users WHERE email = 'admin@example.org'");
    let own = format!("/api/v1/users/{own}");
    for body in [json!({"admin": false}), json!({"disabled": true})] {
        let refused = admin.patch(&own, &body);
        assert_eq!((refused.status, &refused.problem()["code"]), (409, &json!("own_account")));
        assert_eq!(user.patch(&own, &body).status, 403);
    }
    for body in [json!({}), json!({"is_admin": true}), json!({"admin": "yes"})] {
        assert_eq!(admin.patch(&own, &body).status, 400, "{body}");
    }
    let nobody = format!("/api/v1/users/{}", uuid::Uuid::now_v7());
    assert_eq!(admin.patch(&nobody, &json!({"admin": true})).status, 404);
    assert_eq!(admin.delete(&format!("{nobody}/sessions")).status, 404);
    assert_eq!(admin.get(&own).json()["email"], "admin@example.org");
}

#[test]
fn who_is_no_administrator_any_more_changes_nobody_s_rights() {
    let app = TestApp::spawn();
    let admin = app.admin();
    app.user("ada");
    let id = app.value("SELECT id FROM users WHERE email = 'ada@example.org'");
    let superuser = app.site.db.superuser();
    let other = block_on(session(&superuser));
    // Another one takes the administrator's rights, and this slot has not heard.
    let sql = "BEGIN; UPDATE users SET admin = false WHERE email = 'admin@example.org'";
    block_on(other.batch_execute(sql)).unwrap();
    let (token, path) = (admin.token(), format!("/api/v1/users/{id}"));
    let ask = || app.anon().with_token(token).patch(&path, &json!({"admin": true}));
    std::thread::scope(|scope| {
        let asking = scope.spawn(ask);
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the request waits for the other one", || app.value(waits) == "1");
        block_on(other.batch_execute("COMMIT")).unwrap();
        let refused = asking.join().unwrap();
        assert_eq!((refused.status, &refused.problem()["code"]), (401, &json!("token_revoked")));
    });
    assert_eq!(app.value("SELECT count(*) FROM users WHERE admin"), "0");
}

#[test]
fn an_administrator_ends_somebody_s_sessions() {
    let app = TestApp::spawn();
    let admin = app.admin();
    app.user("ada");
    let id = app.value("SELECT id FROM users WHERE email = 'ada@example.org'");
    let (one, all) = (sign_in(&app), sign_in(&app));
    let session = app.value("SELECT id FROM sessions ORDER BY id DESC LIMIT 1 OFFSET 1");
    assert_eq!(admin.delete(&format!("/api/v1/users/{id}/sessions/{session}")).status, 204);
    assert_dead(&app, &one);
    assert_alive(&app, &all);
    assert_eq!(admin.delete(&format!("/api/v1/users/{id}/sessions")).status, 204);
    assert_dead(&app, &all);
    assert_alive(&app, &sign_in(&app));
}

#[test]
fn the_command_line_s_changes_hold_in_a_running_slot() {
    let app = TestApp::spawn();
    app.user("ada");
    let tokens = sign_in(&app);
    let (done, said) = app.run(&["user", "disable", "ada@example.org"], "");
    assert!(done && said.contains("sessions and tokens are ended"), "{said}");
    app.slot.wait_for(|_| client(&app, &tokens).get("/api/v1/me").status == 401);
    assert_dead(&app, &tokens);
    assert!(app.run(&["user", "enable", "ada@example.org"], "").0);
    assert_alive(&app, &sign_in(&app));
}

#[test]
fn k_each_refusal_is_one_line_with_its_request_and_its_user() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let id = app.value("SELECT id FROM users");
    let tokens = sign_in(&app);
    let ended = client(&app, &tokens);
    ended.send("DELETE /api/v1/auth/session", PAGE, b"");
    let cases = [
        (user.get("/api/v1/users"), "authz_fail", Some(id.as_str())),
        (ended.get("/api/v1/me"), "authz_fail", Some(id.as_str())),
        (app.anon().get("/api/v1/me"), "authz_fail", None),
        (user.with_token("x").get("/api/v1/me"), "authz_fail", None),
        (app.sign_in("ada@example.org", "not her password"), "authn_login_fail", None),
        (refresh(&app, &json!({"refresh_token": "x"})), "authn_token_fail", None),
    ];
    let log = app.slot.log();
    for (reply, event, user) in cases {
        let id = reply.problem()["request_id"].clone();
        let lines: Vec<Value> = log
            .lines()
            .filter(|line| line.contains(text(&id)))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((&lines[0]["event"], lines[0]["user.id"].as_str()), (&json!(event), user));
    }
}

#[test]
fn the_audit_log_is_only_added_to_and_loses_what_is_over_its_time() {
    let app = TestApp::spawn();
    app.user("ada");
    let (app_role, owner) =
        (app.site.db.app(), "UPDATE audit_events SET at = at - interval '91 days'");
    for sql in
        ["DELETE FROM audit_events", "UPDATE audit_events SET event = 'x'", "TRUNCATE audit_events"]
    {
        let refused = block_on(async { session(&app_role).await.batch_execute(sql).await });
        assert_eq!(refused.unwrap_err().code().unwrap().code(), "42501", "{sql}");
    }
    let purge = || {
        block_on(async {
            let session = session(&app_role).await;
            session.query_one("SELECT purge_audit_events()", &[]).await.unwrap().get::<_, i64>(0)
        })
    };
    assert_eq!(purge(), 0);
    let rows: i64 = app.value("SELECT count(*) FROM audit_events").parse().unwrap();
    assert!(rows > 0);
    app.change(owner);
    assert_eq!(purge(), rows);
    let with_ids = "SELECT count(*) FROM audit_events WHERE request_id ~ '^[0-9a-f]{32}$'";
    sign_in(&app);
    assert_eq!(app.value(with_ids), "1");
}
