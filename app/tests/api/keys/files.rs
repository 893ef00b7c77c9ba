//! Keys outside the database, in files of one key a line: read again while the slots run.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread::sleep,
    time::Duration,
};

use roadstead::auth::secret::{Keys, encode, random};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{EMAIL, never_tend};
use crate::support::{
    app::{PASSWORD, Site, TestApp},
    database::MASTER_KEY,
    process::code,
    until,
};

const KINDS: [&str; 3] = ["MASTER_KEY", "REFRESH_KEY", "PEPPER"];

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for kind in KINDS {
            files.write(kind, &if kind == "MASTER_KEY" { MASTER_KEY.into() } else { key() });
        }
        files
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.0.path().join(kind)
    }

    fn read(&self, kind: &str) -> String {
        fs::read_to_string(self.path(kind)).unwrap()
    }

    /// In one step, as `roadstead init` does.
    fn write(&self, kind: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o640)).unwrap();
        fs::rename(&new, self.path(kind)).unwrap();
    }

    /// A key more, in use from now on; its id.
    fn add(&self, kind: &str) -> String {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
        let key = key();
        self.write(kind, &format!("{}\n{now} {key}\n", self.read(kind)));
        Keys::parse(&key).unwrap().current(0).0.to_owned()
    }

    /// For `Site::with`.
    fn settings(&self) -> Vec<(String, String)> {
        let setting = |kind: &&str| {
            let name = format!("ROADSTEAD_AUTH__{kind}");
            let file = self.path(kind).to_str().unwrap().to_owned();
            [(name.clone(), String::new()), (format!("{name}_FILE"), file)]
        };
        KINDS.iter().flat_map(setting).collect()
    }

    fn app(&self) -> TestApp {
        let settings = self.settings();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        TestApp::with(&settings)
    }
}

fn key() -> String {
    encode(&random::<32>())
}

fn refreshed(app: &TestApp, tokens: &Value) -> (u16, Value) {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let reply = app.anon().post("/api/v1/auth/token/refresh", &body);
    (reply.status, reply.json())
}

/// Which key made a refresh token.
fn made_by(tokens: &Value) -> String {
    tokens["refresh_token"].as_str().unwrap().split('.').nth(2).unwrap().to_owned()
}

fn outdated(app: &TestApp, what: &str) -> String {
    app.run(&["keys", "outdated", what], "").1.trim().to_owned()
}

/// Waits until the file has been read again for the nth time.
fn taken(app: &TestApp, kind: &str, times: usize) {
    let said = format!("ROADSTEAD_AUTH__{kind}_FILE has changed");
    app.slot.wait_for(|slot| slot.log().matches(&said).count() == times);
}

#[test]
fn a_new_refresh_key_ends_no_session_and_a_wrong_file_changes_nothing() {
    let files = Files::new();
    let app = files.app();
    app.user("ada");
    let first = app.sign_in(EMAIL, PASSWORD).json();
    let id = files.add("REFRESH_KEY");
    assert_ne!(made_by(&first), id);
    taken(&app, "REFRESH_KEY", 1);
    let (status, second) = refreshed(&app, &first);
    assert_eq!((status, made_by(&second)), (200, id.clone()));
    let (status, third) = refreshed(&app, &second);
    assert_eq!((status, made_by(&third)), (200, id));

    let good = files.read("REFRESH_KEY");
    files.write("REFRESH_KEY", &format!("{good}nonsense\n"));
    app.slot.wait_for(|slot| slot.log().contains("line 3 must be"));
    let (status, fourth) = refreshed(&app, &third);
    assert_eq!(status, 200);
    // Two looks later it is still said once.
    sleep(Duration::from_secs(11));
    assert_eq!(app.slot.log().matches("line 3 must be").count(), 1);
    assert!(!app.slot.log().contains("nonsense"));

    // The old key taken out: what it made is worthless, and what the new one made is not.
    let new = good.lines().last().unwrap();
    files.write("REFRESH_KEY", new);
    taken(&app, "REFRESH_KEY", 2);
    assert_eq!(
        refreshed(&app, &first).1["code"],
        "invalid_grant",
        "and it ends no session by that"
    );
    assert_eq!(refreshed(&app, &fourth).0, 200);
}

#[test]
fn a_new_pepper_lets_everybody_in_and_their_hashes_follow() {
    let files = Files::new();
    let app = files.app();
    app.user("ada");
    app.user("bob");
    assert_eq!(outdated(&app, "pepper"), "0");
    files.add("PEPPER");
    taken(&app, "PEPPER", 1);
    assert_eq!(outdated(&app, "pepper"), "2");
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 200);
    assert_eq!(outdated(&app, "pepper"), "1", "ada's is hashed anew, bob was not here");
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 200);
    assert_eq!(app.sign_in(EMAIL, "not her password").status, 401);
    assert_eq!(app.sign_in("bob@example.org", PASSWORD).status, 200);
    assert_eq!(outdated(&app, "pepper"), "0");
}

#[test]
fn under_a_new_master_key_the_signing_keys_are_sealed_anew_and_the_old_one_can_go() {
    let files = Files::new();
    let app = files.app();
    app.user("ada");
    let access = app.sign_in(EMAIL, PASSWORD).json()["access_token"].clone();
    let id = files.add("MASTER_KEY");
    taken(&app, "MASTER_KEY", 1);
    app.change("UPDATE jobs SET due_at = now() WHERE name = 'keys'");
    until("they are sealed anew", || outdated(&app, "master") == "0");
    assert_eq!(app.value("SELECT DISTINCT master_kid FROM signing_keys"), id);
    assert_eq!(app.value("SELECT count(*) FROM signing_keys"), "1", "and is the same key");
    let new = files.read("MASTER_KEY").lines().last().unwrap().to_owned();
    files.write("MASTER_KEY", &new);
    let green = app.site.ready("green");
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 200);
    let user = app.anon().with_token(access.as_str().unwrap());
    assert_eq!(user.get("/api/v1/me").status, 200);
    drop(green);
}

#[test]
fn a_lost_master_key_that_is_put_back_is_used_without_a_restart() {
    let files = Files::new();
    let app = files.app();
    app.user("ada");
    never_tend(&app);
    let (kept, other) = (files.read("MASTER_KEY"), key());
    files.write("MASTER_KEY", &other);
    app.slot.wait_for(|slot| slot.log().contains("no sign-in and no refresh is possible"));
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 503);
    files.write("MASTER_KEY", &format!("{kept}\n2026-01-31T12:00:00Z {other}"));
    taken(&app, "MASTER_KEY", 2);
    sleep(Duration::from_secs(1));
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 200);
}

#[test]
fn h4_no_slot_starts_with_a_key_that_others_know_or_read() {
    let placeholder = &("changeme".repeat(5) + "chA");
    let known = encode(b"ThisIsASecretKeyOfThirtyTwoBytes");
    for (kind, value, word) in [
        ("MASTER_KEY", "c2hvcnQ", "must be 32 bytes"),
        ("REFRESH_KEY", "your-256-bit-secret", "must be"),
        ("REFRESH_KEY", "secret", "must be"),
        ("REFRESH_KEY", placeholder, "must be random"),
        ("PEPPER", &known, "must be random"),
        ("PEPPER", &"A".repeat(43), "must be random"),
        ("PEPPER", "", "is not set"),
    ] {
        let name = format!("ROADSTEAD_AUTH__{kind}");
        let site = Site::with(&[(&name, value)]);
        let mut slot = site.start("blue");
        assert_ne!(code(slot.end(Duration::from_secs(10))), 0, "{name}={value}");
        let log = slot.log();
        assert!(log.contains(&name) && log.contains(word), "{name}={value}: {log}");
        assert!(value.is_empty() || !log.contains(value), "a secret in the log: {log}");
    }
    let files = Files::new();
    fs::set_permissions(files.path("PEPPER"), Permissions::from_mode(0o644)).unwrap();
    let settings = files.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
    let site = Site::with(&settings);
    let mut slot = site.start("blue");
    assert_ne!(code(slot.end(Duration::from_secs(10))), 0);
    let log = slot.log();
    assert!(log.contains("ROADSTEAD_AUTH__PEPPER_FILE: ") && log.contains("chmod 640"), "{log}");
}
