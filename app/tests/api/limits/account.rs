//! One account, and who tries its password.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use roadstead::auth::secret::{encode, random};
use serde_json::{Value, json};

use super::{
    ADA, HOME, create, device, from, hashes, limited, refusal, set_account, spawn, told, with,
};
use crate::support::app::{PASSWORD, TestApp};

/// Of PASSWORD, with what OWASP asks for at the least.
fn older_hash(pepper: &[u8]) -> String {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap();
    let argon2 = Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params);
    argon2.unwrap().hash_password(PASSWORD.as_bytes()).unwrap().to_string()
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

#[test]
fn who_holds_a_token_guesses_the_password_five_times() {
    let app = limited();
    let signed_in = |ip: &str| {
        let tokens = from(&app, ip, ADA, PASSWORD).json();
        app.anon().with_token(tokens["access_token"].as_str().unwrap())
    };
    let (thief, owner) = (signed_in(HOME), signed_in(HOME));
    let new = "a lee shore in a gale";
    let body = |current: &str| json!({"current_password": current, "new_password": new});
    for _ in 0..5 {
        assert_eq!(thief.post("/api/v1/auth/password", &body("a guess")).status, 400);
    }
    refusal(&thief.post("/api/v1/auth/password", &body(PASSWORD)));
    assert_eq!(told(&app, "password"), "1");
    assert_eq!(owner.post("/api/v1/auth/password", &body(PASSWORD)).status, 200);
    let left =
        "SELECT attempts FROM sign_in_limits WHERE bucket LIKE 'password:%' ORDER BY 1 LIMIT 1";
    assert_eq!(app.value(left), "0", "a success is no failure");
}
