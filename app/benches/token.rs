//! What an access token costs: `cargo bench --bench token`. Each number is the median of its rounds,
//! with the smallest and the largest; the rounds of all rows take turns, so that a busy moment of the
//! machine meets all alike.

use std::{hint::black_box, time::Instant};

use roadstead::auth::{
    cache::{Known, Sight, TokenCache},
    keys::{KeyRing, NewKey},
    revocation::Control,
    secret::{self, Keys},
    token::{Grant, Issuer, LONGEST_TOKEN},
};
use uuid::Uuid;

const ROUNDS: usize = 31;
/// Of each row in each round.
const CALLS: u32 = 200;
const NOW: i64 = 1_800_000_000;

fn ring() -> KeyRing {
    let masters = Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key");
    KeyRing::open(&masters, &[NewKey::generate(&masters, NOW).into()])
}

fn grant() -> Grant {
    Grant {
        user: Uuid::new_v4(),
        session: Uuid::new_v4(),
        version: 1,
        scope: "account notes".into(),
        auth_time: NOW,
    }
}

fn main() {
    let (keys, issuer) = (ring(), Issuer::new("https://example.org", 300));
    issuer.self_test(&keys, NOW).expect("it works");
    let issue = |keys: &KeyRing| issuer.issue(&keys.signing(NOW).expect("signs"), grant(), NOW);
    let token = issue(&keys);
    let believed = |token: &str| issuer.verify(&keys, black_box(token), NOW).is_ok();

    let (text, signature) = token.rsplit_once('.').expect("segments");
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let spoilt = format!("{text}.{first}{}", &signature[1..]);
    let stranger = issue(&ring());
    let too_long = "x".repeat(LONGEST_TOKEN + 1);

    let (control, cache) = (Control::default(), TokenCache::default());
    let sight = || Sight::new(&control, 0, NOW).expect("news of just now");
    let claims = issuer.verify(&keys, &token, NOW).expect("good");
    cache.keep(&token, Known::of(claims, &sight()));

    let rows: [(&str, &dyn Fn() -> bool); 6] = [
        ("verify: good", &|| believed(&token)),
        ("known already", &|| cache.find(black_box(&token), &sight()).is_some()),
        ("verify: another signature", &|| !believed(&spoilt)),
        ("verify: an unknown key", &|| !believed(&stranger)),
        ("verify: too long", &|| !believed(&too_long)),
        ("issue", &|| !black_box(issue(&keys)).is_empty()),
    ];
    let mut times = rows.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((_, call), times) in rows.iter().zip(&mut times) {
            let began = Instant::now();
            assert!((0..CALLS).all(|_| call()));
            times.push(began.elapsed() / CALLS);
        }
    }
    for ((name, _), times) in rows.iter().zip(&mut times) {
        times.sort();
        let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| times[at].as_nanos());
        println!("{name:26} {median:>7} ns  ({least} to {most})");
    }
}
