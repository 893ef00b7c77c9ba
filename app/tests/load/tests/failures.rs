//! Every way to fail is told by its name, and nothing is counted twice.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::server::Server;
use super::{Run, plan, run, run_until};
use crate::engine::{Level, Plan, Protocol, Stop, Text};

const POST: &str = r#"POST /notes {"title":"{n}"}"#;

/// One request that fails on a new connection.
fn class_of(server: &Server) -> String {
    let run = run(Plan { count: Some(1), protocol: Protocol::Http1Close, ..plan(server, &[POST]) });
    assert_eq!((run.report.failed_total, run.report.unsent_total), (1, 0));

    run.lines[0].result.clone()
}

/// A server that reads a request and answers by this text, then closes.
fn says(text: &'static str) -> Server {
    Server::script(move |mut peer, _| async move {
        peer.request().await;
        peer.say(text).await;
    })
}

#[test]
fn no_server() {
    let server = Server::echo();
    std::fs::remove_file(server.path()).expect("it was there");
    let run = run(Plan { connections: 3, count: Some(50), ..plan(&server, &[POST]) });
    assert_eq!((run.count("connect"), run.report.sent), (50, 50));
}

#[test]
fn closed_without_an_answer() {
    assert_eq!(class_of(&says("")), "no_reply");
}

#[test]
fn reset_without_reading_it_all() {
    let server = Server::script(|mut peer, _| async move {
        peer.stream.read_u8().await.expect("a request");
    });
    assert_eq!(class_of(&server), "no_reply");
}

#[test]
fn answers_that_break_off() {
    let answers = [
        "HTTP/1.1 201 Cre",
        "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhal",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n0\r\n",
    ];
    for answer in answers {
        assert_eq!(class_of(&says(answer)), "half_reply", "{answer}");
    }
}

#[test]
fn answers_that_are_none() {
    let answers = [
        "220 smtp.example.test ESMTP\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
    ];
    for answer in answers {
        assert_eq!(class_of(&says(answer)), "bad_reply", "{answer}");
    }
}

#[test]
fn wrong_status_and_wrong_body_keep_the_connection() {
    let server = Server::script(|mut peer, _| async move {
        while let Some(body) = peer.request().await {
            match body.ends_with("0\"}") {
                true => peer.answer("503 Service Unavailable", "later").await,
                false => peer.answer("201 Created", "another's").await,
            }
        }
    });
    let mut plan = plan(&server, &[POST]);
    plan.requests[0].expect_status = vec![200, 201];
    plan.requests[0].expect_body = Some(Text::new(b"{n}"));
    let run = run(plan);
    assert_eq!((run.count("status_503"), run.count("body"), server.connections()), (2, 18, 1));
    assert!(run.lines.iter().all(|line| line.status == "503" || line.status == "201"));
    assert_eq!(run.report.first_failures[0].detail, "later");
}

#[test]
fn falls_silent() {
    let server = Server::script(|mut peer, number| async move {
        if number > 0 {
            return peer.echo().await;
        }
        peer.request().await;
        peer.hold().await;
    });
    let Run { report, lines } =
        run(Plan { timeout: Duration::from_secs(1), ..plan(&server, &[POST]) });
    assert_eq!((report.failed["timeout"], report.ok, server.connections()), (1, 19, 2));
    assert!((1_000_000..2_000_000).contains(&lines[0].latency_us));
    assert!((1000.0..2000.0).contains(&report.max_gap_ms));
}

#[test]
fn stops_reading_a_long_request() {
    let long = format!("PUT /file {}", "x".repeat(8 << 20));
    let mut some = [0; 1000];
    let closes = Server::script(move |mut peer, _| async move {
        peer.stream.read_exact(&mut some).await.expect("some of it");
    });
    let run1 = run(Plan { count: Some(1), ..plan(&closes, &[&long]) });
    assert_eq!(run1.lines[0].result, "closed_writing");
    let refuses = Server::script(move |mut peer, _| async move {
        peer.stream.read_exact(&mut some).await.expect("some of it");
        peer.answer("413 Content Too Large", "").await;
    });
    let run2 =
        run(Plan { count: Some(1), protocol: Protocol::Http1Close, ..plan(&refuses, &[&long]) });
    assert_eq!(run2.lines[0].result, "status_413", "why it closed is told, not that it did");
}

#[test]
fn an_idle_connection_closed_by_the_server_loses_nothing() {
    let closes_after_one = || {
        Server::script(|mut peer, _| async move {
            let body = peer.request().await.unwrap_or_default();
            peer.answer("201 Created", &body).await;
        })
    };
    let server = closes_after_one();
    let paced = |server| Plan { rate: Some(10.0), count: Some(6), ..plan(server, &[POST]) };
    let run1 = run(paced(&server));
    assert_eq!(
        (run1.report.ok, run1.report.unsent["closed_unwritten"], server.bodies().len()),
        (6, 5, 6)
    );
    assert!(run1.lines[1..].iter().all(|line| line.resends == 1));
    let server = closes_after_one();
    let run2 = run(Plan { strict: true, ..paced(&server) });
    assert_eq!(
        (run2.report.ok, run2.count("closed_unwritten"), run2.report.unsent_total),
        (3, 3, 0)
    );
}

#[test]
fn what_may_have_been_carried_out_is_not_sent_again() {
    let server = Server::script(|mut peer, _| async move {
        let body = peer.request().await.unwrap_or_default();
        peer.answer("201 Created", &body).await;
        peer.request().await;
    });
    let run = run(plan(&server, &[POST]));
    assert_eq!((run.report.ok, run.count("no_reply_reused"), run.report.unsent_total), (10, 10, 0));
    assert_eq!(server.bodies().len(), 20, "each was sent once");
}

#[test]
fn an_ended_run_tells_of_what_was_under_way() {
    let server = Server::script(|mut peer, number| async move {
        match number {
            0 => peer.hold().await,
            _ => {
                while let Some(body) = peer.request().await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    peer.answer("201 Created", &body).await;
                }
            }
        }
    });
    let stop = Stop::default();
    let ends = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        ends.set(Level::Finish);
        std::thread::sleep(Duration::from_secs(1));
        ends.set(Level::Abort);
    });
    let run =
        run_until(Plan { connections: 3, count: Some(1_000_000), ..plan(&server, &[POST]) }, &stop);
    assert!(run.report.interrupted);
    assert_eq!(
        (run.count("interrupted"), run.report.failed_total),
        (1, 1),
        "the others had time to answer"
    );
    assert!(run.report.ok > 2);
}
