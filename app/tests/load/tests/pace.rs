//! How fast, how long, and what counts as waiting.

use std::time::{Duration, Instant};

use super::server::{Peer, Server};
use super::{plan, run, run_until};
use crate::engine::{Level, Plan, Stop};

async fn slowly(mut peer: Peer, time: Duration) {
    while let Some(body) = peer.request().await {
        tokio::time::sleep(time).await;
        peer.answer("201 Created", &body).await;
    }
}

#[test]
fn an_open_loop_counts_the_waiting_that_a_closed_loop_hides() {
    let server = Server::script(|peer, _| slowly(peer, Duration::from_millis(50)));
    let closed = run(plan(&server, &["POST / {n}"]));
    assert!(closed.report.latency_ms.p50 >= 50.0, "{:?}", closed.report.latency_ms);
    // 20 requests due within 0.2 s, of which each takes 0.05 s: the last has waited for 0.8 s.
    let open = run(Plan { rate: Some(100.0), ..plan(&server, &["POST / {n}"]) });
    assert!(open.report.latency_ms.p50 >= 400.0 && open.report.latency_ms.max >= 800.0);
    assert!(open.report.latency_ms.p50 > 3.0 * closed.report.latency_ms.p50);
    assert_eq!((closed.report.ok, open.report.ok), (20, 20));
}

#[test]
fn a_rate_is_kept_to_the_request() {
    let server = Server::echo();
    let second = Some(Duration::from_secs(1));
    let run = run(Plan {
        count: None,
        seconds: second,
        rate: Some(500.0),
        connections: 4,
        ..plan(&server, &["POST / {n}"])
    });
    assert_eq!((run.report.sent, run.report.ok), (500, 500));
    assert_eq!(run.report.seconds, 1.0);
}

#[test]
fn what_found_no_connection_in_time_was_not_started() {
    let server = Server::script(|mut peer, _| async move {
        peer.request().await;
        peer.hold().await;
    });
    let timeout = Duration::from_millis(300);
    let run = run(Plan { timeout, rate: Some(1000.0), ..plan(&server, &["POST / {n}"]) });
    // When the first has timed out, the next is late already, and perhaps has a little of its time
    // left.
    let (sent, not_started) = (run.count("timeout"), run.count("not_started"));
    assert!(
        sent + not_started == 20 && not_started >= 5,
        "{sent} were sent, {not_started} not started"
    );
    assert!(server.bodies().len() <= sent);
}

#[test]
fn a_timed_run_waits_for_its_last_answers() {
    let server = Server::script(|peer, _| slowly(peer, Duration::from_millis(500)));
    let seconds = Some(Duration::from_millis(900));
    let run = run(Plan { count: None, seconds, connections: 2, ..plan(&server, &["POST / {n}"]) });
    assert_eq!((run.report.sent, run.report.ok, run.report.seconds), (4, 4, 0.9));
    assert!(
        (2.0..3.0).contains(&run.report.rate),
        "two were answered in the time: {}",
        run.report.rate
    );
}

#[test]
fn the_longest_time_without_a_success_is_told() {
    let server = Server::script(|mut peer, _| async move {
        let mut answered = 0;
        while let Some(body) = peer.request().await {
            answered += 1;
            match answered {
                10 => tokio::time::sleep(Duration::from_millis(400)).await,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            peer.answer("201 Created", &body).await;
        }
    });
    let run = run(plan(&server, &["POST / {n}"]));
    assert!((400.0..2000.0).contains(&run.report.max_gap_ms), "{}", run.report.max_gap_ms);
}

#[test]
fn a_dead_server_stops_neither_the_clock_nor_the_end_by_hand() {
    let server = Server::echo();
    std::fs::remove_file(server.path()).expect("it was there");
    let (began, pause) = (Instant::now(), Duration::from_millis(50));
    let seconds = Some(Duration::from_millis(500));
    let timed = run(Plan { count: None, seconds, pause, ..plan(&server, &["POST / {n}"]) });
    assert!((2..=11).contains(&timed.report.sent), "one for each pause: {}", timed.report.sent);
    assert_eq!(timed.report.max_gap_ms, 500.0);
    let stop = Stop::default();
    let ends = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        ends.set(Level::Finish);
    });
    run_until(Plan { count: None, connections: 2, ..plan(&server, &["POST / {n}"]) }, &stop);
    assert!(began.elapsed() < Duration::from_secs(10));
}
