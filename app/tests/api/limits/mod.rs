//! How often somebody may try to sign in, or refresh; what a stranger's guesses do to others.

mod account;
mod storm;

use serde_json::json;

use crate::support::{
    app::{PASSWORD, TestApp},
    http::Reply,
};

pub const ADA: &str = "ada@example.org";
pub const HOME: &str = "192.0.2.7";

/// With the limits as they ship, and patience where many come at once.
pub fn limited() -> TestApp {
    spawn(&[("ROADSTEAD_AUTH__SIGN_IN_LIMIT", "10")])
}

pub fn spawn(settings: &[(&str, &str)]) -> TestApp {
    let patience = [
        ("ROADSTEAD_DATABASE__WAIT_MS", "40000"),
        ("ROADSTEAD_SERVER__HANDLER_DEADLINE_S", "50"),
        ("ROADSTEAD_SERVER__DRAIN_S", "51"),
        ("ROADSTEAD_SERVER__HARD_EXIT_S", "52"),
    ];
    let app = TestApp::with(&[settings, &patience].concat());
    create(&app, ADA);
    app
}

pub fn create(app: &TestApp, email: &str) {
    let (created, said) = app.run(&["user", "create", email, "--password-stdin"], PASSWORD);
    assert!(created, "{said}");
}

/// As nginx passes it on.
pub fn from(app: &TestApp, ip: &str, email: &str, password: &str) -> Reply {
    with(app, &format!("X-Forwarded-For: {ip}\r\n"), email, password)
}

pub fn with(app: &TestApp, head: &str, email: &str, password: &str) -> Reply {
    let head = format!("Content-Type: application/json\r\n{head}");
    let body = json!({"email": email, "password": password}).to_string();
    app.anon().send("POST /api/v1/auth/token", &head, body.as_bytes())
}

/// The cookie of a browser that has signed in.
pub fn device(app: &TestApp, cookie: &str, ip: &str) -> String {
    let head = format!(
        "Content-Type: application/json\r\nOrigin: https://localhost\r\nX-Forwarded-For: {ip}\r\nCookie: a=b; {cookie}\r\n"
    );
    let body = json!({"email": ADA, "password": PASSWORD}).to_string();
    let reply = app.anon().send("POST /api/v1/auth/session", &head, body.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    let set = reply.head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        (name.eq_ignore_ascii_case("set-cookie") && value.starts_with("__Host-device="))
            .then(|| value.to_owned())
    });
    let set = set.expect("a device cookie");
    for word in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=34560000"] {
        assert!(set.contains(word), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

pub fn hashes(app: &TestApp) -> u32 {
    let text = String::from_utf8(app.anon().get("/internal/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("roadstead_password_hashes_total "));
    line.unwrap().parse().unwrap()
}

pub fn refusal(reply: &Reply) -> u64 {
    assert_eq!((reply.status, &reply.problem()["code"]), (429, &json!("too_many_attempts")));
    reply.header("retry-after").unwrap().parse().unwrap()
}

pub fn told(app: &TestApp, limit: &str) -> String {
    app.value(&format!(
        "SELECT count(*) FROM audit_events WHERE event = 'excess_rate_limit_exceeded' AND details->>'limit' = '{limit}'"
    ))
}

/// The account's bucket as after so many tries, the last of them so long ago.
pub fn set_account(app: &TestApp, attempts: u32, last_one_ago: &str) {
    let last = format!("now() + interval '1 hour' - interval '{last_one_ago}'");
    let set = format!("attempts = {attempts}, resets_at = {last}");
    app.change(&format!("UPDATE sign_in_limits SET {set} WHERE bucket LIKE 'account:%'"));
}
