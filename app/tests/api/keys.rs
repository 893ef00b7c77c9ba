//! Signing keys: one replaces another while everybody stays signed in, and a leaked one is dead at once.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use roadstead::{
    auth::secret::decode,
    db::{Db, jobs},
};
use serde_json::{Value, json};

use crate::support::{
    app::{PASSWORD, TestApp},
    block_on,
    clock::Watch,
    http::{Connection, Reply},
    process::Slot,
    until,
};

const EMAIL: &str = "ada@example.org";

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

#[test]
fn a_rotation_under_load_refuses_nobody() {
    let (app, green) = pair();
    let sockets = sockets(&app, &green);
    let first = kid(&signed_in(&app)["access_token"]);
    let stop = AtomicBool::new(false);
    // Each goes to both slots in turn, and refreshes now here, now there.
    let visit = |mut tokens: Value| {
        let mut slots = sockets.each_ref().map(|socket| Connection::open(socket).unwrap());
        let (mut answers, mut kids, mut refreshed) = (0, Vec::new(), Instant::now());
        while !stop.load(Relaxed) {
            for slot in &mut slots {
                let reply = me(slot, &tokens["access_token"]);
                assert_eq!(reply.status, 200, "{reply:?}");
                answers += 1;
                if refreshed.elapsed() > Duration::from_millis(2_500) {
                    let reply = refresh(slot, &tokens["refresh_token"]);
                    assert_eq!(reply.status, 200, "{reply:?}");
                    tokens = reply.json();
                    kids.push(kid(&tokens["access_token"]));
                    refreshed = Instant::now();
                }
            }
            sleep(Duration::from_millis(2));
        }
        (answers, kids)
    };
    thread::scope(|scope| {
        let visitors = [(); 3].map(|()| {
            let tokens = signed_in(&app);
            scope.spawn(|| visit(tokens))
        });
        // Should one of them fail, the others end, too.
        let said = keys(&app, &["rotate"]);
        let next = said.split(' ').next().unwrap().to_owned();
        let begun = Instant::now();
        let signs = format!("SELECT signs_from < now() FROM signing_keys WHERE kid = '{next}'");
        while begun.elapsed() < Duration::from_secs(40) && app.value(&signs) != "t" {
            sleep(Duration::from_millis(50));
        }
        sleep(Duration::from_secs(6));
        stop.store(true, Relaxed);
        for visitor in visitors {
            let (answers, kids) = visitor.join().unwrap();
            assert!(answers > 100, "{answers}");
            assert_eq!(kids.last(), Some(&next), "after {first}: {kids:?}");
        }
    });
}

#[test]
fn a_revoked_key_is_dead_on_both_slots_in_under_a_second_and_a_refresh_helps() {
    let (app, green) = pair();
    let mut slots = sockets(&app, &green).map(|socket| Connection::open(&socket).unwrap());
    for attempt in 0.. {
        let tokens = signed_in(&app);
        let access = &tokens["access_token"];
        for slot in &mut slots {
            assert_eq!(me(slot, access).status, 200);
        }
        let dead = kid(access);
        let watch = Watch::start();
        let said = keys(&app, &["revoke", &dead]);
        for slot in &mut slots {
            while me(slot, access).status == 200 {}
        }
        let (took, stood_still) = watch.stop();
        // What this machine took from everybody says nothing about us.
        if stood_still > Duration::from_millis(200) && attempt < 4 {
            continue;
        }
        assert!(took.saturating_sub(stood_still) < Duration::from_secs(1), "{took:?}, {said}");
        for slot in &mut slots {
            assert_eq!(me(slot, access).problem()["code"], "token_invalid");
        }
        assert!(!published(&app).contains(&dead));
        let next = refresh(&mut slots[1], &tokens["refresh_token"]).json();
        assert!(said.contains(&format!("{} signs from now on", kid(&next["access_token"]))));
        for slot in &mut slots {
            assert_eq!(me(slot, &next["access_token"]).status, 200);
        }
        let noted = "SELECT details->>'kid' FROM audit_events WHERE event = 'signing_key_revoked' ORDER BY id DESC";
        assert_eq!(app.value(noted), dead);
        return;
    }
}

#[test]
fn one_process_of_all_does_a_job_and_when_it_dies_another_does() {
    let app = TestApp::spawn();
    tend(&app);
    app.change("INSERT INTO jobs (name) VALUES ('drill')");
    block_on(async {
        let db = Db::connect(&app.site.db.app()).unwrap();
        let (first, second) = (db.begin().await.unwrap(), db.begin().await.unwrap());
        assert!(jobs::take(&first, "drill").await.unwrap());
        assert!(!jobs::take(&second, "drill").await.unwrap(), "and it does not wait");
        drop(first);
        let third = db.begin().await.unwrap();
        while !jobs::take(&third, "drill").await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        jobs::done(&third, "drill", Duration::from_secs(60)).await.unwrap();
        third.commit().await.unwrap();
        assert!(!jobs::take(&second, "drill").await.unwrap(), "it is not due");
    });
}

#[test]
fn an_old_key_gets_a_successor_that_is_published_first_and_then_takes_over() {
    let (app, green) = pair();
    let old = kid(&signed_in(&app)["access_token"]);
    app.change("UPDATE signing_keys SET published_at = now() - interval '28 days 23 hours', signs_from = now() - interval '28 days 23 hours'");
    tend(&app);
    assert_eq!(app.value("SELECT count(*) FROM signing_keys"), "1", "its time has not come");
    app.change("UPDATE signing_keys SET published_at = now() - interval '29 days 1 hour', signs_from = now() - interval '29 days 1 hour'");
    for _ in 0..2 {
        tend(&app);
        assert_eq!(app.value("SELECT count(*) FROM signing_keys"), "2", "one successor");
    }
    let next = app.value("SELECT kid FROM signing_keys WHERE signs_from BETWEEN now() + interval '23 hours' AND now() + interval '25 hours'");
    let both = HashSet::from([old.clone(), next.clone()]);
    until("it is published", || published(&app) == both);
    let tokens = signed_in(&app);
    assert_eq!(kid(&tokens["access_token"]), old, "a day before its time");
    assert!(keys(&app, &["list"]).contains(&format!("{next}  next, signs from ")));

    // A rotation by hand takes the one that is there, and a second one does not put it off.
    assert!(keys(&app, &["rotate"]).starts_with(&next));
    let from = app.value("SELECT max(signs_from) FROM signing_keys");
    assert!(keys(&app, &["rotate"]).starts_with(&next));
    assert_eq!(app.value("SELECT max(signs_from) FROM signing_keys"), from);
    let signs = format!("SELECT signs_from < now() FROM signing_keys WHERE kid = '{next}'");
    until("its time comes", || app.value(&signs) == "t");
    // By the slot's clock it may be a moment later.
    sleep(Duration::from_secs(1));
    assert_eq!(kid(&signed_in(&app)["access_token"]), next);
    tend(&app);
    let overlap = format!("SELECT expires_at - retired_at FROM signing_keys WHERE kid = '{old}'");
    assert_eq!(app.value(&overlap), "00:35:00");
    for socket in sockets(&app, &green) {
        assert_eq!(
            me(&mut Connection::open(&socket).unwrap(), &tokens["access_token"]).status,
            200
        );
    }
    // From here on nobody is told: the ring itself sees the end of a key's time.
    let end = "UPDATE signing_keys SET expires_at = now() + interval '3 seconds' WHERE retired_at IS NOT NULL";
    app.change(end);
    until("it is gone", || published(&app) == HashSet::from([next.clone()]));
    let user = app.anon().with_token(tokens["access_token"].as_str().unwrap());
    assert_eq!(user.get("/api/v1/me").problem()["code"], "token_invalid");
    assert!(keys(&app, &["list"]).contains(&format!("{old}  ended ")));
    let events = "SELECT string_agg(event, ' ' ORDER BY id) FROM audit_events WHERE event LIKE 'signing_key%'";
    assert_eq!(
        app.value(events),
        "signing_key_created signing_key_brought_forward signing_key_retired"
    );
}

#[test]
fn without_a_key_that_signs_no_refresh_token_is_used_up_and_a_new_key_cures_it() {
    let app = TestApp::spawn();
    app.user("ada");
    let tokens = signed_in(&app);
    let mut slot = Connection::open(&app.slot.socket).unwrap();
    app.change("UPDATE signing_keys SET master_kid = NULL, ciphertext = ciphertext || 'x'");
    app.slot.wait_for(|slot| slot.log().contains("no sign-in and no refresh is possible"));
    let sessions = app.value("SELECT count(*) FROM sessions");
    let reply = refresh(&mut slot, &tokens["refresh_token"]);
    assert_eq!((reply.status, &reply.problem()["code"]), (503, &json!("unavailable")));
    assert_eq!(app.sign_in(EMAIL, PASSWORD).status, 503);
    assert_eq!(app.value("SELECT max(generation) FROM sessions"), "1");
    assert_eq!(app.value("SELECT count(*) FROM sessions"), sessions, "none has begun");
    assert_eq!(me(&mut slot, &tokens["access_token"]).status, 200, "what is signed stays good");
    assert!(app.slot.log().contains("request failed: signing key"), "{}", app.slot.log());
    assert!(app.slot.log().contains("`roadstead keys rotate`"));
    assert!(keys(&app, &["list"]).contains("does not open"));

    let next = keys(&app, &["rotate"]).split(' ').next().unwrap().to_owned();
    until("it is known", || published(&app).contains(&next));
    assert_eq!(kid(&signed_in(&app)["access_token"]), next, "nobody waits for its time");
    assert_eq!(refresh(&mut slot, &tokens["refresh_token"]).status, 200);
}

#[test]
fn a_key_that_does_not_sign_is_revoked_without_a_successor_and_a_wrong_name_is_told() {
    let app = TestApp::spawn();
    app.user("ada");
    let signer = kid(&signed_in(&app)["access_token"]);
    assert!(keys(&app, &["list"]).contains(&format!("{signer}  signs, since ")));
    let next = keys(&app, &["rotate", "--after", "300"]).split(' ').next().unwrap().to_owned();
    assert!(keys(&app, &["revoke", &next]).contains("was not the one that signs"));
    assert_eq!(app.value("SELECT count(*) FROM signing_keys"), "2");
    assert!(keys(&app, &["list"]).contains(&format!("{next}  revoked ")));
    until("it is not published", || published(&app) == HashSet::from([signer.clone()]));
    assert_eq!(kid(&signed_in(&app)["access_token"]), signer);
    // As earlier releases named keys, some begin with a hyphen.
    for unknown in ["-x1234567", "nonsense", &next] {
        let (done, said) = app.run(&["keys", "revoke", unknown], "");
        assert!(
            !done && said.contains(unknown) && said.contains("`roadstead keys list`"),
            "{said}"
        );
    }
    let (done, said) = app.run(&["keys", "rotate", "--after", "1"], "");
    assert!(!done && said.contains("12..=86400"), "too soon for a slot to have heard: {said}");
}
