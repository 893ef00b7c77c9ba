//! API keys: what a machine may do with one, and how soon it may no longer.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    app::{Client, TestApp},
    block_on,
    database::session,
    http::Connection,
};

const WHOAMI: &str = "/api/v1/drill/whoami";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The reply of a key that was made.
fn made(owner: &Client, name: &str, scope: &str) -> Value {
    let body = json!({"name": name, "scope": scope, "expires_in_days": 30});
    let reply = owner.post("/api/v1/api-keys", &body);
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

/// Whoever has the key.
fn machine<'a>(app: &'a TestApp, key: &Value) -> Client<'a> {
    app.anon().with_token(text(&key["key"]))
}

fn names(owner: &Client) -> Vec<String> {
    let list = owner.get("/api/v1/api-keys").json();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| text(&item["name"]).to_owned()).collect()
}

/// A key that is not good (any more).
fn assert_refused(machine: &Client) {
    let reply = machine.get(WHOAMI);
    assert_eq!(reply.status, 401, "{reply:?}");
    let challenge = r#"Bearer realm="api", error="invalid_token""#;
    assert_eq!(reply.header("www-authenticate"), Some(challenge));
    assert_eq!(reply.problem()["code"], "token_invalid");
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 30 s in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Statements by way of the pool so far.
fn statements(app: &TestApp) -> u64 {
    let metrics = String::from_utf8(app.anon().get("/internal/metrics").body).unwrap();
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("roadstead_database_statements_total "));
    line.expect("the counter").parse().unwrap()
}

#[test]
fn a_key_is_shown_once_and_does_what_its_scope_says() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, " the backup ", "notes");
    assert_eq!((&key["name"], &key["scope"]), (&json!("the backup"), &json!("notes")));
    assert!(text(&key["key"]).starts_with("rsk_") && text(&key["key"]).len() == 47, "{key}");

    let machine = machine(&app, &key);
    let note = machine.post("/api/v1/notes", &json!({"title": "by the machine"}));
    assert_eq!(note.status, 201, "{note:?}");
    assert_eq!(ada.get("/api/v1/notes").json()["items"][0]["title"], "by the machine");
    let me = machine.get("/api/v1/me").json();
    assert_eq!((&me["email"], &me["scope"]), (&json!("ada@example.org"), &json!("notes")));
    assert_eq!(machine.get("/api/v1/users").status, 403);

    let list = ada.get("/api/v1/api-keys").json();
    let item = &list["items"][0];
    for member in ["id", "name", "scope", "created_at", "expires_at"] {
        assert_eq!(item[member], key[member], "{member}");
    }
    assert_eq!(item.as_object().unwrap().len(), 6, "{item}");
    let days = "SELECT extract(day FROM expires_at - created_at) FROM api_keys";
    assert_eq!(app.value(days), "30");
}

#[test]
fn what_cannot_be_a_key_of_one_s_own_is_refused_by_its_field() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let create = |body: Value| ada.post("/api/v1/api-keys", &body);
    for (name, scope, days, field) in [
        ("", "notes", 1, "name"),
        (" \t ", "notes", 1, "name"),
        ("two\nlines", "notes", 1, "name"),
        (&*"x".repeat(101), "notes", 1, "name"),
        ("x", "", 1, "scope"),
        ("x", "notes ", 1, "scope"),
        ("x", "notes,users", 1, "scope"),
        ("x", "users", 1, "scope"),
        ("x", "account", 1, "scope"),
        ("x", "notes account", 1, "scope"),
        ("x", "notes", 0, "expires_in_days"),
        ("x", "notes", 366, "expires_in_days"),
        ("x", "notes", -1, "expires_in_days"),
    ] {
        let body = json!({"name": name, "scope": scope, "expires_in_days": days});
        let problem = create(body.clone()).problem();
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!(
            (&problem["code"], errors.len(), &errors[0]["field"]),
            (&json!("invalid_fields"), 1, &json!(field)),
            "{body}"
        );
    }
    for (body, field) in [
        (json!({"name": "x", "scope": "notes"}), "expires_in_days"),
        (json!({"name": "x", "scope": "notes", "expires_in_days": 1, "key": "rsk_x"}), "key"),
    ] {
        assert_eq!(create(body).problem()["errors"][0]["field"], field);
    }
    assert_eq!(app.value("SELECT count(*) FROM api_keys"), "0");
    for (name, days) in [("å".repeat(100), 365), ("x".into(), 1)] {
        let body = json!({"name": name, "scope": "notes notes", "expires_in_days": days});
        let reply = create(body);
        assert_eq!((reply.status, &reply.json()["scope"]), (201, &json!("notes")));
    }
}

#[test]
fn the_living_keys_are_listed_newest_first_and_are_fifty_at_the_most() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    for number in 0..47 {
        made(&ada, &format!("{number}"), "notes");
    }
    made(&bob, "of another", "notes");
    let token = ada.token();
    // Six at once for the three places that are left.
    let body = json!({"name": "late", "scope": "notes", "expires_in_days": 1});
    let ask = || {
        let ada = app.anon().with_token(token);
        ada.post("/api/v1/api-keys", &body).status
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 3, "{statuses:?}");
    let listed = names(&ada);
    assert_eq!((listed.len(), &*listed[3], &*listed[49]), (50, "46", "0"));

    let full = ada.post("/api/v1/api-keys", &body);
    assert_eq!((full.status, &full.problem()["code"]), (409, &json!("too_many_api_keys")));
    // One that is over takes no place, and is not listed.
    app.change("UPDATE api_keys SET created_at = created_at - interval '1 day', expires_at = now() WHERE name = '0'");
    made(&ada, "one more", "notes");
    let listed = names(&ada);
    assert_eq!((listed.len(), &*listed[0], &*listed[49]), (50, "one more", "1"));
}

#[test]
fn an_account_makes_so_many_keys_an_hour_however_many_it_revokes() {
    let app = TestApp::with(&[("ROADSTEAD_AUTH__SIGN_IN_LIMIT", "2")]);
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    for number in 0..20 {
        let key = made(&ada, &format!("{number}"), "notes");
        assert_eq!(ada.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).status, 204);
    }
    let body = json!({"name": "late", "scope": "notes", "expires_in_days": 1});
    let refused = ada.post("/api/v1/api-keys", &body);
    assert_eq!((refused.status, &refused.problem()["code"]), (429, &json!("too_many_attempts")));
    made(&bob, "of another", "notes");
}

#[test]
fn a_session_that_has_ended_makes_no_key() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let superuser = app.site.db.superuser();
    let end = block_on(session(&superuser));
    // By another slot, and this one has not heard.
    let sql = "BEGIN; SELECT FROM users FOR NO KEY UPDATE;
               UPDATE sessions SET revoked_at = now(), revoked_reason = 'by_user'";
    block_on(end.batch_execute(sql)).unwrap();
    std::thread::scope(|scope| {
        let token = ada.token();
        let asking = scope.spawn(|| {
            let body = json!({"name": "late", "scope": "notes", "expires_in_days": 1});
            app.anon().with_token(token).post("/api/v1/api-keys", &body)
        });
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_for("the request waits for the account", || app.value(waits) == "1");
        block_on(end.batch_execute("COMMIT")).unwrap();
        let refused = asking.join().unwrap();
        assert_eq!((refused.status, &refused.problem()["code"]), (401, &json!("token_revoked")));
    });
    assert_eq!(app.value("SELECT count(*) FROM api_keys"), "0");
}

#[test]
fn a_revoked_key_is_over_at_once_and_another_s_cannot_be_revoked() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let (first, second) = (made(&ada, "first", "notes"), made(&ada, "second", "notes"));
    let (one, other) = (machine(&app, &first), machine(&app, &second));
    assert_eq!((one.get(WHOAMI).status, other.get(WHOAMI).status), (200, 200));

    let path = format!("/api/v1/api-keys/{}", text(&first["id"]));
    assert_eq!(bob.delete(&path).status, 404);
    assert_eq!(one.get(WHOAMI).status, 200);
    assert_eq!(ada.delete(&path).status, 204);
    assert_refused(&one);
    assert_eq!(other.get(WHOAMI).status, 200);
    assert_eq!(names(&ada), ["second"]);
    assert_eq!(ada.delete(&path).status, 404, "there is nothing left to revoke");
    assert_eq!(ada.delete("/api/v1/api-keys/x").status, 404);
}

#[test]
fn a_revoked_key_is_over_on_the_other_slot_in_under_a_second() {
    let app = TestApp::spawn();
    let green = app.site.ready("green");
    let ada = app.user("ada");
    let mut slowest = Duration::ZERO;
    for number in 0..5 {
        let key = made(&ada, &format!("{number}"), "notes");
        let header = format!("Authorization: Bearer {}\r\n", text(&key["key"]));
        let mut connection = Connection::open(&green.socket).unwrap();
        let mut ask =
            || connection.exchange(&format!("GET {WHOAMI}"), &header, b"").unwrap().status;
        assert_eq!(ask(), 200);
        assert_eq!(ada.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).status, 204);
        // Only the time in which this machine was not standing still counts.
        let (mut counted, mut last) = (Duration::ZERO, Instant::now());
        while ask() == 200 {
            sleep(Duration::from_millis(5));
            counted += last.elapsed().min(Duration::from_millis(25));
            last = Instant::now();
            assert!(counted < Duration::from_secs(30), "it is never refused");
        }
        slowest = slowest.max(counted);
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn a_key_can_do_no_more_than_its_owner_can_now() {
    let app = TestApp::spawn();
    let (chief, ada) = (app.admin(), app.user("ada"));
    app.change("UPDATE users SET admin = true WHERE email = 'ada@example.org'");
    let renewed = app.sign_in("ada@example.org", crate::support::app::PASSWORD).json();
    let ada = ada.with_token(text(&renewed["access_token"]));
    let both = machine(&app, &made(&ada, "both", "users notes"));
    let users = machine(&app, &made(&ada, "only users", "users"));
    let list = |machine: &Client| machine.get("/api/v1/users").status;
    assert_eq!((list(&both), list(&users), both.get("/api/v1/notes").status), (200, 200, 200));

    // It manages accounts, and makes no administrators.
    let chief_s = app.value("SELECT id FROM users WHERE email = 'admin@example.org'");
    let chief_s = format!("/api/v1/users/{chief_s}");
    assert_eq!(users.patch(&chief_s, &json!({"disabled": false})).status, 200);
    for body in [json!({"admin": false}), json!({"admin": true, "disabled": false})] {
        assert_eq!(users.patch(&chief_s, &body).problem()["code"], "insufficient_scope");
    }

    // What raises the owner's version ends tokens; a key is read anew.
    app.change("UPDATE users SET admin = false WHERE email = 'ada@example.org'");
    wait_for("the right is withdrawn", || list(&both) == 403 && list(&users) == 403);
    assert_eq!(both.get("/api/v1/notes").status, 200);
    assert_eq!(ada.get("/api/v1/me").status, 401);
    assert_eq!(users.get(WHOAMI).json()["scope"], "", "good still, and good for nothing");
    assert_eq!(users.get("/api/v1/notes").status, 403);

    app.change("UPDATE users SET admin = true WHERE email = 'ada@example.org'");
    wait_for("the right is back", || list(&both) == 200 && list(&users) == 200);

    assert!(app.run(&["user", "disable", "ada@example.org"], "").0);
    wait_for("the owner is disabled", || both.get(WHOAMI).status == 401);
    wait_for("the owner is disabled", || users.get(WHOAMI).status == 401);
    assert_refused(&both);
    assert_refused(&users);
    assert_eq!(chief.get(WHOAMI).status, 200);
    app.change("DELETE FROM users WHERE email = 'ada@example.org'");
    assert_refused(&both);
}

#[test]
fn a_key_never_reaches_the_account_itself() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, "thief", "notes");
    // Not even one that somebody wrote into the database.
    app.change("UPDATE api_keys SET scope = 'account notes'");
    let machine = machine(&app, &key);
    let id = text(&key["id"]);
    let mut asked = 0;
    for route in roadstead::api::routes(&roadstead::config::Settings::read([].into()).unwrap()) {
        if route.who == "account" {
            let line = format!("{} {}", route.method, route.path.replace("{id}", id));
            let reply = machine.send(&line, "Content-Type: application/json\r\n", b"{}");
            assert_eq!(reply.status, 403, "{line}: {reply:?}");
            assert_eq!(reply.problem()["code"], "insufficient_scope", "{line}");
            asked += 1;
        }
    }
    assert!(asked >= 6, "{asked}");
    assert_eq!(machine.get("/api/v1/notes").status, 200);
}

#[test]
fn a_key_ends_at_its_time() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, "short", "notes");
    let machine = machine(&app, &key);
    let end_in = |interval: &str| {
        app.change(&format!("UPDATE api_keys SET created_at = now() - interval '1 day', expires_at = now() + interval '{interval}'"));
    };
    // No worker has seen it yet. Where the machine stood still for so long, once more.
    wait_for("it is good until its end", || {
        end_in("3 seconds");
        machine.get(WHOAMI).status == 200
    });
    wait_for("it is over, also where it was known", || machine.get(WHOAMI).status == 401);
    assert_refused(&machine);
    assert_eq!(names(&ada), [""; 0]);
    let path = format!("/api/v1/api-keys/{}", text(&key["id"]));
    assert_eq!(ada.delete(&path).status, 404);
}

#[test]
fn what_looks_like_a_key_and_is_none_is_refused_and_mostly_without_a_query() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, "good", "notes");
    let good = text(&key["key"]);
    let before = statements(&app);
    for garbage in [
        "rsk_".to_owned(),
        "rsk_x".into(),
        format!("rsk_{}", "x".repeat(5000)),
        format!("rsk_{}", "!".repeat(43)),
        good[..46].to_owned(),
        format!("{good}A"),
        good.replacen("rsk_", "RSK_", 1),
    ] {
        let stranger = app.anon().with_token(&garbage);
        (0..100).for_each(|_| assert_refused(&stranger));
    }
    // Housekeeping sends a few now and then.
    let sent = statements(&app) - before;
    assert!(sent < 70, "{sent} statements for 700 requests");
    let random = roadstead::auth::secret::encode(&roadstead::auth::secret::random::<32>());
    assert_refused(&app.anon().with_token(&format!("rsk_{random}")));
    let bad_body =
        app.anon().with_token(&format!("rsk_{random}")).post("/api/v1/notes", &json!([]));
    assert_eq!(bad_body.status, 401, "who may not come in hears nothing of the body");
    let query = app.anon().get(&format!("{WHOAMI}?access_token={good}"));
    assert_eq!(query.status, 401, "a key in the address is none");
}

#[test]
fn a_request_with_a_key_costs_no_query_and_its_last_use_is_written() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, "busy", "notes");
    assert_eq!(ada.get("/api/v1/api-keys").json()["items"][0]["last_used_at"], Value::Null);
    // One connection, one worker.
    let machine = machine(&app, &key);
    assert_eq!(machine.get(WHOAMI).status, 200);
    let before = statements(&app);
    for _ in 0..1000 {
        assert_eq!(machine.get(WHOAMI).status, 200);
    }
    // Housekeeping sends a few now and then.
    let sent = statements(&app) - before;
    assert!(sent < 100, "{sent} statements for 1,000 requests");

    wait_for("its last use is written", || {
        ada.get("/api/v1/api-keys").json()["items"][0]["last_used_at"].is_string()
    });
    let recent = "SELECT now() - last_used_at BETWEEN '-5 s' AND '5 min' FROM api_keys";
    assert_eq!(app.value(recent), "t");
}

#[test]
fn what_happened_to_keys_is_noted_and_no_key_is_in_the_database_dump_or_the_log() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let key = made(&ada, "for the robot", "notes");
    let machine = machine(&app, &key);
    assert_eq!(machine.get(WHOAMI).status, 200);
    assert_eq!(machine.get("/api/v1/api-keys").status, 403);
    let id = text(&key["id"]);
    assert_eq!(ada.delete(&format!("/api/v1/api-keys/{id}")).status, 204);
    assert_refused(&machine);

    let noted = |event: &str, member: &str| {
        app.value(&format!(
            "SELECT details->>'{member}' FROM audit_events JOIN users ON users.id = user_id
             WHERE event = '{event}' AND email = 'ada@example.org'
                 AND session_id IS NOT NULL AND request_id IS NOT NULL"
        ))
    };
    for event in ["authn_token_created", "authn_token_revoked"] {
        assert_eq!((&*noted(event, "api_key"), &*noted(event, "name")), (id, "for the robot"));
    }
    assert_eq!(noted("authn_token_created", "scope"), "notes");

    let (dump, log) = (app.dump(), app.slot.log());
    let digest = roadstead::auth::secret::sha256(text(&key["key"]).as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(dump.contains(&digest), "the dump has the keys' table");
    let secret = text(&key["key"]).strip_prefix("rsk_").unwrap();
    assert!(!dump.contains(secret) && !log.contains(secret), "{log}");
}
