//! How often somebody may try to sign in, or refresh; what a stranger's guesses do to others.

use std::{
    thread::{scope, sleep},
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use roadstead::auth::secret::{encode, random};
use serde_json::{Value, json};

use crate::support::{
    app::{PASSWORD, TestApp},
    http::{Connection, Reply},
};

const ADA: &str = "ada@example.org";
const HOME: &str = "192.0.2.7";

/// With the limits as they ship, and patience where many come at once.
fn limited() -> TestApp {
    spawn(&[("ROADSTEAD_AUTH__SIGN_IN_LIMIT", "10")])
}

fn spawn(settings: &[(&str, &str)]) -> TestApp {
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

fn create(app: &TestApp, email: &str) {
    let (created, said) = app.run(&["user", "create", email, "--password-stdin"], PASSWORD);
    assert!(created, "{said}");
}

/// As nginx passes it on.
fn from(app: &TestApp, ip: &str, email: &str, password: &str) -> Reply {
    with(app, &format!("X-Forwarded-For: {ip}\r\n"), email, password)
}

fn with(app: &TestApp, head: &str, email: &str, password: &str) -> Reply {
    let head = format!("Content-Type: application/json\r\n{head}");
    let body = json!({"email": email, "password": password}).to_string();
    app.anon().send("POST /api/v1/auth/token", &head, body.as_bytes())
}

/// The cookie of a browser that has signed in.
fn device(app: &TestApp, cookie: &str, ip: &str) -> String {
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

fn hashes(app: &TestApp) -> u32 {
    let text = String::from_utf8(app.anon().get("/internal/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("roadstead_password_hashes_total "));
    line.unwrap().parse().unwrap()
}

fn refusal(reply: &Reply) -> u64 {
    assert_eq!((reply.status, &reply.problem()["code"]), (429, &json!("too_many_attempts")));
    reply.header("retry-after").unwrap().parse().unwrap()
}

fn told(app: &TestApp, limit: &str) -> String {
    app.value(&format!(
        "SELECT count(*) FROM audit_events WHERE event = 'excess_rate_limit_exceeded' AND details->>'limit' = '{limit}'"
    ))
}

/// Of PASSWORD, with what OWASP asks for at the least.
fn older_hash(pepper: &[u8]) -> String {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap();
    let argon2 = Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params);
    argon2.unwrap().hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

/// The account's bucket as after so many tries, the last of them so long ago.
fn set_account(app: &TestApp, attempts: u32, last_one_ago: &str) {
    let last = format!("now() + interval '1 hour' - interval '{last_one_ago}'");
    let set = format!("attempts = {attempts}, resets_at = {last}");
    app.change(&format!("UPDATE sign_in_limits SET {set} WHERE bucket LIKE 'account:%'"));
}

#[test]
fn c2_unknown_disabled_and_wrong_are_one_answer_and_each_costs_a_hash() {
    let app = limited();
    create(&app, "bob@example.org");
    assert!(app.run(&["user", "disable", "bob@example.org"], "").0);
    let asked = |email: &str, password: &str| {
        let before = hashes(&app);
        let reply = from(&app, HOME, email, password);
        assert_eq!(hashes(&app), before + 1, "{email}");
        let mut problem = reply.problem();
        problem["request_id"].take();
        let mut names: Vec<String> =
            reply.head.lines().skip(1).map(|line| line.split(':').next().unwrap().into()).collect();
        names.sort();
        let of = |name: &str| reply.header(name).map(str::to_owned);
        let lengths = of("content-length");
        (reply.status, problem, names, lengths, of("www-authenticate"), of("cache-control"))
    };
    let wrong = asked(ADA, "not her password");
    assert_eq!(wrong.0, 401);
    assert_eq!(asked("nobody@example.org", PASSWORD), wrong);
    assert_eq!(asked("bob@example.org", PASSWORD), wrong);
    // Nor does the limit tell.
    for (email, ip) in [
        (ADA, "198.51.100.1"),
        ("nobody@example.org", "198.51.100.2"),
        ("bob@example.org", "198.51.100.3"),
    ] {
        let statuses = [0; 6].map(|_| from(&app, ip, email, "a guess").status);
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429], "{email}");
    }
}

#[test]
fn c5_five_failures_close_an_account_for_one_address_and_not_for_another() {
    let app = limited();
    for _ in 0..5 {
        assert_eq!(from(&app, HOME, ADA, "a guess").status, 401);
    }
    let wait = refusal(&from(&app, HOME, ADA, PASSWORD));
    assert!((1..=300).contains(&wait), "{wait}");
    refusal(&from(&app, HOME, ADA, PASSWORD));
    assert_eq!(told(&app, "pair"), "1", "once, and not for each");
    let audited = "SELECT user_id IS NOT NULL AND host(ip) = '192.0.2.7' AND request_id IS NOT NULL FROM audit_events WHERE event = 'excess_rate_limit_exceeded'";
    assert_eq!(app.value(audited), "t");
    assert_eq!(from(&app, "192.0.2.8", ADA, PASSWORD).status, 200);
    create(&app, "bob@example.org");
    assert_eq!(from(&app, HOME, "bob@example.org", PASSWORD).status, 200);

    app.change("UPDATE sign_in_limits SET resets_at = now() WHERE bucket LIKE 'pair:%'");
    assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200, "its time is over");
}

#[test]
fn c5_a_success_is_no_failure() {
    let app = limited();
    for _ in 0..8 {
        assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200);
    }
    assert_eq!(app.value("SELECT attempts FROM sign_in_limits WHERE bucket LIKE 'pair:%'"), "0");
    assert_eq!(app.value("SELECT attempts FROM sign_in_limits WHERE bucket LIKE 'address:%'"), "8");
}

#[test]
fn c5_guesses_from_everywhere_slow_an_account_down_and_never_lock_it() {
    let app = limited();
    for n in 1..=6 {
        assert_eq!(from(&app, &format!("192.0.2.{n}"), ADA, "a guess").status, 401);
    }
    set_account(&app, 5000, "0 s");
    assert!((1..=64).contains(&refusal(&from(&app, HOME, ADA, PASSWORD))));
    refusal(&from(&app, HOME, ADA, PASSWORD));
    assert_eq!(told(&app, "account"), "1");
    let untouched =
        "SELECT count(*) FROM sign_in_limits WHERE bucket = 'address:192.0.2.7' AND attempts > 0";
    assert_eq!(app.value(untouched), "0", "what is refused takes nothing elsewhere");
    // Whoever waits gets in, however many have guessed.
    set_account(&app, 5000, "65 s");
    assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200);
    refusal(&from(&app, HOME, ADA, PASSWORD));
    set_account(&app, 5000, "61 min");
    assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200);
    assert_eq!(app.value("SELECT attempts FROM sign_in_limits WHERE bucket LIKE 'account:%'"), "1");
}

#[test]
fn c5_the_wait_grows_with_the_tries() {
    let app = TestApp::spawn();
    // Both in one transaction, in which now() stands still.
    let wait = |attempts: u32| {
        app.value(&format!(
            "DELETE FROM sign_in_limits;
             INSERT INTO sign_in_limits VALUES ('account:x', {attempts}, now() + interval '1 hour');
             SELECT coalesce(max(retry_after), 0)
             FROM count_attempt(ARRAY['account:x'], ARRAY[100], ARRAY[3600], ARRAY[true])"
        ))
    };
    assert_eq!(
        [99, 100, 101, 103, 106, 107, 5000].map(wait),
        ["0", "1", "2", "8", "64", "64", "64"]
    );
}

#[test]
fn c5_a_known_device_gets_in_whatever_strangers_do() {
    let app = limited();
    let known = device(&app, "", HOME);
    // All that guessers reach: the account, its address, and both together.
    for _ in 0..10 {
        from(&app, HOME, ADA, "a guess");
    }
    for email in ["x", "y", "z", "v", "w", "u"] {
        from(&app, HOME, &format!("{email}@example.org"), "a guess");
    }
    set_account(&app, 5000, "0 s");
    refusal(&from(&app, HOME, ADA, PASSWORD));
    refusal(&from(&app, HOME, "z@example.org", PASSWORD));
    let again = device(&app, &known, HOME);
    let head = |cookie: &str| format!("X-Forwarded-For: {HOME}\r\nCookie: {cookie}\r\n");
    assert_eq!(with(&app, &head(&again), ADA, PASSWORD).status, 200);
    // Neither a made-up one nor another account's.
    refusal(&with(&app, &head("__Host-device=AAAAAAAAAAAAAAAA.1800000000.AAAA"), ADA, PASSWORD));
    refusal(&with(&app, &head(&known), "bob@example.org", PASSWORD));
    // Its own limit, also when the browser has renewed it.
    for cookie in [&known, &again].into_iter().cycle().take(10) {
        assert_eq!(with(&app, &head(cookie), ADA, "a guess").status, 401);
    }
    refusal(&with(&app, &head(&again), ADA, PASSWORD));
    assert_eq!(told(&app, "device"), "1");
}

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
        let storm: Vec<_> = (0..120)
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
            if answered % 20 == 1 {
                let head = format!("Cookie: {known}\r\n");
                assert_eq!(with(&app, &head, ADA, PASSWORD).status, 200);
            }
        }
        assert!(answered > 1, "others are answered meanwhile");
        storm.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(!refused.is_empty(), "the queue holds 32, and 120 came");
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

#[test]
fn c9_a_hash_with_older_costs_is_upgraded_once() {
    let pepper = random::<32>();
    let app = spawn(&[("ROADSTEAD_AUTH__PEPPER", &encode(&pepper))]);
    let hash = "SELECT password_hash FROM users";
    let today = app.value(hash);
    assert!(today.contains("m=65536,t=2,p=1"), "{today}");
    let older = older_hash(&pepper);
    app.change(&format!("UPDATE users SET password_hash = '{older}'"));
    let before = hashes(&app);
    assert_eq!(from(&app, HOME, ADA, "a guess").status, 401);
    assert_eq!(app.value(hash), older, "not by a wrong password");
    assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200);
    let upgraded = app.value(hash);
    assert!(upgraded.contains("m=65536,t=2,p=1"), "{upgraded}");
    assert_eq!(from(&app, HOME, ADA, PASSWORD).status, 200);
    assert_eq!(app.value(hash), upgraded);
    assert_eq!(hashes(&app) - before, 4, "three to compare, and one anew");
}

#[test]
fn a_session_refreshes_thirty_times_a_minute() {
    let app = limited();
    let signed_in = |ip: &str| from(&app, ip, ADA, PASSWORD).json();
    let text = |tokens: &Value| tokens["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: &str| {
        app.anon().post("/api/v1/auth/token/refresh", &json!({"refresh_token": token}))
    };
    let mut token = text(&signed_in(HOME));
    for _ in 0..30 {
        token = text(&refresh(&token).json());
    }
    let wait = refusal(&refresh(&token));
    assert!((1..=60).contains(&wait), "{wait}");
    refusal(&refresh(&token));
    assert_eq!(told(&app, "session"), "1");
    let audited = "SELECT user_id IS NOT NULL AND session_id IS NOT NULL FROM audit_events WHERE event = 'excess_rate_limit_exceeded'";
    assert_eq!(app.value(audited), "t");
    assert_eq!(refresh(&text(&signed_in(HOME))).status, 200, "another session");
    app.change("UPDATE sign_in_limits SET resets_at = now() WHERE bucket LIKE 'session:%'");
    assert_eq!(refresh(&token).status, 200, "it was not harmed");
}
