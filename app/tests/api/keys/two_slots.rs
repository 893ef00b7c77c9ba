//! Signing keys, as two slots at work know them.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{self, sleep},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use super::{keys, kid, me, pair, published, refresh, signed_in, sockets};
use crate::support::{
    http::Connection,
    watch::{STALL, Watch},
};

#[test]
fn h2_a_rotation_under_load_refuses_nobody() {
    let (app, green) = pair();
    let sockets = sockets(&app, &green);
    let first = kid(&signed_in(&app)["access_token"]);
    // Eager while the new key is made, and when it begins to sign: then a slot might not know it yet.
    let (stop, eager) = (AtomicBool::new(false), AtomicBool::new(false));
    // Each goes to both slots in turn, and refreshes now here, now there.
    let visit = |mut tokens: Value| {
        let mut slots = sockets.each_ref().map(|socket| Connection::open(socket).unwrap());
        let (mut answers, mut kids, mut refreshed) = (0, vec![first.clone()], Instant::now());
        let began = Instant::now();
        while !stop.load(Relaxed) && began.elapsed() < Duration::from_secs(90) {
            for slot in &mut slots {
                let reply = me(slot, &tokens["access_token"]);
                assert_eq!(reply.status, 200, "{} {reply:?}", kid(&tokens["access_token"]));
                answers += 1;
                let pause = if eager.load(Relaxed) { 150 } else { 3_000 };
                // A session has a limit of its own.
                if refreshed.elapsed() > Duration::from_millis(pause) && kids.len() < 25 {
                    let reply = refresh(slot, &tokens["refresh_token"]);
                    assert_eq!(reply.status, 200, "{reply:?}");
                    tokens = reply.json();
                    kids.push(kid(&tokens["access_token"]));
                    refreshed = Instant::now();
                }
            }
            sleep(Duration::from_millis(1));
        }
        let reply = refresh(&mut slots[0], &tokens["refresh_token"]);
        assert_eq!(me(&mut slots[1], &reply.json()["access_token"]).status, 200);
        (answers, kids, kid(&reply.json()["access_token"]))
    };
    let wait_for_sql = |sql: &str| {
        let begun = Instant::now();
        while app.value(sql) != "t" && begun.elapsed() < Duration::from_secs(40) {
            sleep(Duration::from_millis(20));
        }
    };
    thread::scope(|scope| {
        let visitors = [(); 4].map(|()| {
            let tokens = signed_in(&app);
            scope.spawn(|| visit(tokens))
        });
        eager.store(true, Relaxed);
        let next = keys(&app, &["rotate"]).split(' ').next().unwrap().to_owned();
        sleep(Duration::from_millis(500));
        eager.store(false, Relaxed);
        let signs = |early: &str| {
            format!(
                "SELECT signs_from - interval '{early}' < now() FROM signing_keys WHERE kid = '{next}'"
            )
        };
        let heard =
            "SELECT max(signs_from - published_at) >= interval '12 seconds' FROM signing_keys";
        assert_eq!(
            app.value(heard),
            "t",
            "time enough for whoever is believed to have heard of it"
        );
        // A slot counts in whole seconds.
        wait_for_sql(&signs("1.2 seconds"));
        eager.store(true, Relaxed);
        wait_for_sql(&signs("-0.5 seconds"));
        stop.store(true, Relaxed);
        for visitor in visitors {
            let (answers, kids, last) = visitor.join().unwrap();
            assert!(answers > 100, "{answers}");
            assert_eq!((&kids[1], last), (&first, next.clone()), "{kids:?}");
        }
    });
}

#[test]
fn h3_a_revoked_key_is_dead_on_both_slots_in_under_a_second_and_a_refresh_helps() {
    let (app, green) = pair();
    let mut slots = sockets(&app, &green).map(|socket| Connection::open(&socket).unwrap());
    let watch = Watch::start();
    for attempt in 0.. {
        let tokens = signed_in(&app);
        let access = &tokens["access_token"];
        for slot in &mut slots {
            assert_eq!(me(slot, access).status, 200);
        }
        let dead = kid(access);
        watch.worst();
        let (said, done) = (keys(&app, &["revoke", &dead]), Instant::now());
        for slot in &mut slots {
            while me(slot, access).status == 200 {
                assert!(
                    done.elapsed() < Duration::from_secs(20),
                    "it is believed for ever: {said}"
                );
                sleep(Duration::from_millis(1));
            }
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let stalled = watch.worst();
        // Of its transaction's begin, on this machine's clock.
        let at =
            format!("SELECT extract(epoch FROM revoked_at) FROM signing_keys WHERE kid = '{dead}'");
        let took = now.saturating_sub(Duration::from_secs_f64(app.value(&at).parse().unwrap()));
        // What the machine slept through is done again.
        if took >= Duration::from_secs(1) && stalled > STALL && attempt < 4 {
            continue;
        }
        assert!(took < Duration::from_secs(1), "{took:?}, at most {stalled:?} of it not running");
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
