//! HTTP/2: many streams on few connections.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::server::{Server, created};
use super::{plan2, run};
use crate::engine::{Header, Plan, Text};

const POST: &str = r#"POST /notes?q={n} {"title":"{n}"}"#;

#[test]
fn sends_exactly_as_many_as_asked_over_few_connections() {
    let server = Server::script(|peer, _| peer.http2(100, |body| async { created(body) }));
    let mut plan = Plan {
        connections: 3,
        streams: 10,
        count: Some(1000),
        ..plan2(&server, &[POST, "GET /me"])
    };
    plan.headers.push(Header::parse("X-Key: {n}").expect("a header"));
    plan.requests[0].expect_body = Some(Text::new(b"{n}"));
    plan.requests[0].expect_status = vec![201];
    let run = run(plan);
    assert_eq!((run.report.sent, run.report.ok, server.bodies().len()), (1000, 1000, 1000));
    assert_eq!((server.connections(), run.report.connections_opened), (3, 3));
}

#[test]
fn a_body_larger_than_the_windows_arrives() {
    let server = Server::script(|peer, _| peer.http2(100, |body| async { created(body) }));
    let long = format!("PUT /file {}{{n}}", "x".repeat(3 << 20));
    let mut plan = Plan { count: Some(8), ..plan2(&server, &[&long]) };
    plan.requests[0].expect_body = Some(Text::new(b"x{n}"));
    assert_eq!(run(plan).report.ok, 8);
}

#[test]
fn opens_no_more_streams_than_the_server_allows() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let server = Server::script(move |peer, _| {
        let (now, most) = (Rc::new(Cell::new(0)), seen.clone());
        peer.http2(4, move |body| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                now.set(now.get() + 1);
                most.fetch_max(now.get(), SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.set(now.get() - 1);
                created(body)
            }
        })
    });
    let run = run(Plan { streams: 16, count: Some(100), ..plan2(&server, &[POST]) });
    assert_eq!((run.report.ok, most.load(SeqCst)), (100, 4));
    // Four at a time: their times add up to four times the run's at most, but for sixteen that
    // wait, to sixteen times.
    let busy = run.lines.iter().map(|line| line.latency_us).sum::<u64>() as f64 / 1e6;
    assert!(busy < 8.0 * run.report.seconds, "a stream that may not be opened is not free to send");
}

#[test]
fn falls_silent() {
    let server = Server::script(|peer, number| async move {
        match number {
            0 => peer.hold().await,
            _ => peer.http2(100, |body| async { created(body) }).await,
        }
    });
    let run = run(Plan { timeout: Duration::from_secs(1), ..plan2(&server, &[POST]) });
    assert_eq!((run.count("timeout"), run.report.ok, server.connections()), (4, 16, 2));
}

#[test]
fn no_server() {
    let server = Server::echo();
    std::fs::remove_file(server.path()).expect("it was there");
    let run = run(Plan { connections: 2, ..plan2(&server, &[POST]) });
    assert_eq!(run.count("connect"), 20);
}

#[test]
fn speaks_to_something_else() {
    let server = Server::echo();
    let run = run(plan2(&server, &[POST]));
    assert_eq!(run.report.ok, 0);
    assert_eq!(run.report.sent, 20);
}
