//! A signing key's life: made, published, signing, retired, ended; or revoked.

use std::{collections::HashSet, thread::sleep, time::Duration};

use roadstead::db::{Db, jobs};
use serde_json::json;

use super::{EMAIL, keys, kid, me, never_tend, pair, published, refresh, signed_in, sockets, tend};
use crate::support::{
    app::{PASSWORD, TestApp},
    block_on,
    http::Connection,
    until,
};

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
    never_tend(&app);
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
