//! Keys: one replaces another while everybody stays signed in, and a leaked one is dead at once.

mod files;
mod life;
mod two_slots;

use std::{collections::HashSet, path::PathBuf};

use roadstead::auth::secret::decode;
use serde_json::{Value, json};

use crate::support::{
    app::{PASSWORD, TestApp},
    http::{Connection, Reply},
    process::Slot,
    until,
};

pub const EMAIL: &str = "ada@example.org";

/// Two slots, and an account.
fn pair() -> (TestApp, Slot) {
    let app = TestApp::spawn();
    app.user("ada");
    let green = app.site.ready("green");
    (app, green)
}

fn sockets(app: &TestApp, green: &Slot) -> [PathBuf; 2] {
    [app.slot.socket.clone(), green.socket.clone()]
}

fn signed_in(app: &TestApp) -> Value {
    let reply = app.sign_in(EMAIL, PASSWORD);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

fn me(connection: &mut Connection, access: &Value) -> Reply {
    let bearer = format!("Authorization: Bearer {}\r\n", access.as_str().unwrap());
    connection.exchange("GET /api/v1/me", &bearer, b"").unwrap()
}

fn refresh(connection: &mut Connection, token: &Value) -> Reply {
    let body = json!({"refresh_token": token}).to_string();
    connection.post("/api/v1/auth/token/refresh", "application/json", body.as_bytes()).unwrap()
}

/// Which key signed it.
fn kid(access: &Value) -> String {
    let header = decode(access.as_str().unwrap().split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

fn published(app: &TestApp) -> HashSet<String> {
    let set = app.anon().get("/.well-known/jwks.json").json();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    set["keys"].as_array().unwrap().iter().map(kid).collect()
}

fn keys(app: &TestApp, words: &[&str]) -> String {
    let (done, said) = app.run(&[&["keys"], words].concat(), "");
    assert!(done, "{words:?}: {said}");
    said
}

/// The keys' job, now, by whichever slot.
fn tend(app: &TestApp) {
    app.change("UPDATE jobs SET due_at = now(), done_at = NULL WHERE name = 'keys'");
    until("the job is done", || {
        app.value("SELECT count(done_at) FROM jobs WHERE name = 'keys'") == "1"
    });
}

/// The keys' job, never: it would make a new key where none can sign.
fn never_tend(app: &TestApp) {
    app.change("UPDATE jobs SET due_at = 'infinity' WHERE name = 'keys'");
}
