//! Many at once, and from many addresses.

use std::{
    thread::{scope, sleep},
    time::Duration,
};

use serde_json::json;

use super::{ADA, HOME, device, from, hashes, limited, refusal, spawn, told, with};
use crate::support::{
    app::{PASSWORD, TestApp},
    http::{Connection, Reply},
};

#[test]
fn c6_of_a_hundred_guesses_at_once_exactly_the_allowed_ones_are_evaluated() {
    for (email, ips, allowed) in [
        (Some(ADA), &["192.0.2.7"][..], 5),
        (None, &["192.0.2.7"], 10),
        (None, &["192.0.2.7", "198.51.100.1"], 20),
    ] {
        let app = limited();
        let before = hashes(&app);
        let guess = |n: usize| {
            let email = email.map_or_else(|| format!("{n}@example.org"), str::to_owned);
            from(&app, ips[n % ips.len()], &email, "a guess").status
        };
        let statuses: Vec<u16> = scope(|scope| {
            let guesses: Vec<_> = (0..100).map(|n| scope.spawn(move || guess(n))).collect();
            guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
        });
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!((count(401), count(429)), (allowed, 100 - allowed), "{statuses:?}");
        assert_eq!(hashes(&app) - before, u32::try_from(allowed).unwrap());
    }
}

#[test]
fn c6_both_slots_count_as_one() {
    let app = limited();
    let green = TestApp { slot: app.site.ready("green"), site: app.site };
    let mut blue = Connection::open(&app.slot.socket).unwrap();
    let head = format!("Content-Type: application/json\r\nX-Forwarded-For: {HOME}\r\n");
    let body = json!({"email": ADA, "password": "a guess"}).to_string();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = blue.exchange("POST /api/v1/auth/token", &head, body.as_bytes());
        statuses.extend([reply.unwrap().status, from(&green, HOME, ADA, "a guess").status]);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
}

#[test]
fn c7_an_ipv6_network_is_one_address_and_other_headers_say_nothing() {
    let app = limited();
    for n in 0..10 {
        let ip = format!("2001:db8:1:2:{n}::1");
        let head = format!(
            "X-Forwarded-For: {ip}\r\nForwarded: for=10.0.0.{n}\r\nX-Real-IP: 10.0.1.{n}\r\nTrue-Client-IP: 10.0.2.{n}\r\n"
        );
        assert_eq!(with(&app, &head, &format!("{n}@example.org"), "a guess").status, 401);
    }
    refusal(&from(&app, "2001:db8:1:2:ffff::9", "a@example.org", "a guess"));
    assert_eq!(from(&app, "2001:db8:1:3::1", "a@example.org", "a guess").status, 401);
    // An IPv4 address in IPv6's clothes.
    for n in 0..10 {
        let ip = if n % 2 == 0 { "192.0.2.9" } else { "::ffff:192.0.2.9" };
        assert_eq!(from(&app, ip, &format!("{n}@example.net"), "a guess").status, 401);
    }
    refusal(&from(&app, "::ffff:192.0.2.9", "a@example.net", "a guess"));
    assert_eq!(told(&app, "address"), "2");
    let buckets = "SELECT string_agg(bucket, ' ' ORDER BY bucket COLLATE \"C\") FROM sign_in_limits WHERE bucket LIKE 'address:%'";
    let networks = "address:192.0.2.9 address:2001:db8:1:2::/64 address:2001:db8:1:3::/64";
    assert_eq!(app.value(buckets), networks);
}

#[test]
fn c8_a_storm_is_refused_and_harms_neither_other_routes_nor_known_devices() {
    let app = spawn(&[]);
    let known = device(&app, "", HOME);
    let replies: Vec<Reply> = scope(|scope| {
        let storm: Vec<_> = (0..100)
            .map(|n| {
                let app = &app;
                scope.spawn(move || from(app, HOME, &format!("{n}@example.org"), "a guess"))
            })
            .collect();
        let anon = app.anon();
        let mut answered = 0;
        while storm.iter().any(|guess| !guess.is_finished()) {
            assert_eq!(anon.get("/health/live").status, 200);
            answered += 1;
            // Not in the way of the hashes, which come last on a busy machine.
            sleep(Duration::from_millis(20));
            if [1, 10, 20].contains(&answered) {
                let head = format!("Cookie: {known}\r\n");
                assert_eq!(with(&app, &head, ADA, PASSWORD).status, 200);
            }
        }
        assert!(answered > 1, "others are answered meanwhile");
        storm.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!refused.is_empty(), "the queue holds 32, and 100 came");
    for reply in refused {
        let code = reply.problem()["code"].clone();
        assert_eq!((code, reply.header("retry-after")), (json!("overloaded"), Some("1")));
    }
    assert!(replies.iter().all(|reply| [401, 503].contains(&reply.status)));
    // What was not evaluated is no failure.
    let failures = "SELECT sum(attempts) FROM sign_in_limits WHERE bucket LIKE 'pair:%'";
    let evaluated = replies.iter().filter(|reply| reply.status == 401).count();
    assert_eq!(app.value(failures), evaluated.to_string());
}
