//! Right answers, in all the shapes of HTTP/1.1.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::server::Server;
use super::{Run, plan, request, run};
use crate::engine::{Bearer, Header, Plan, Protocol, Text};

const POST: &str = r#"POST /notes {"title":"{n}"}"#;

#[test]
fn sends_exactly_as_many_as_asked_each_with_its_own_body() {
    let server = Server::echo();
    let Run { report, lines } =
        run(Plan { connections: 7, count: Some(500), ..plan(&server, &[POST]) });
    assert_eq!((report.sent, report.ok), (500, 500));
    assert_eq!(server.connections(), 7);
    let sent: BTreeSet<_> =
        lines.iter().map(|line| format!(r#"{{"title":"{}"}}"#, line.number)).collect();
    assert_eq!(server.bodies().len(), 500);
    assert_eq!(server.bodies().into_iter().collect::<BTreeSet<_>>(), sent);
}

#[test]
fn threads_share_the_count_and_the_connections() {
    let server = Server::echo();
    let run = run(Plan { connections: 5, threads: 2, count: Some(501), ..plan(&server, &[POST]) });
    assert_eq!((run.report.ok, server.connections()), (501, 5));
}

#[test]
fn opens_a_connection_for_each_request() {
    let server = Server::echo();
    let run =
        run(Plan { protocol: Protocol::Http1Close, connections: 3, ..plan(&server, &[POST]) });
    assert_eq!((run.report.ok, run.report.connections_opened, server.connections()), (20, 20, 20));
}

#[test]
fn reads_every_kind_of_body() {
    let answers = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         4;x=y\r\nwhol\r\n1\r\ne\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole",
        "HTTP/1.0 200 OK\r\n\r\nwhole",
    ];
    for answer in answers {
        for piece in [1, 3, answer.len()] {
            let server = Server::script(move |mut peer, _| async move {
                while peer.request().await.is_some() {
                    for bytes in answer.as_bytes().chunks(piece) {
                        peer.say(std::str::from_utf8(bytes).expect("ASCII")).await;
                        tokio::task::yield_now().await;
                    }
                    if !answer.contains("Content-Length") && !answer.contains("chunked") {
                        return;
                    }
                }
            });
            let mut plan = Plan { count: Some(3), ..plan(&server, &["GET /"]) };
            plan.requests[0].expect_body = Some(Text::new(b"whole"));
            let run = run(plan);
            assert_eq!(
                (run.report.ok, run.report.unsent_total),
                (3, 0),
                "{answer} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn knows_answers_without_a_body() {
    let server = Server::script(|mut peer, _| async move {
        while peer.request().await.is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").await;
        }
    });
    assert_eq!(run(plan(&server, &["HEAD /"])).report.ok, 20);
    let server = Server::script(|mut peer, _| async move {
        while peer.request().await.is_some() {
            peer.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    let run = run(plan(&server, &["DELETE /notes/1"]));
    assert_eq!((run.report.ok, server.connections()), (20, 1));
}

#[test]
fn a_mix_comes_in_its_weights() {
    let server = Server::echo();
    let run =
        run(Plan { count: Some(40), connections: 3, ..plan(&server, &["3x POST /a a", "GET /b"]) });
    let sent: Vec<_> = run
        .report
        .requests
        .iter()
        .map(|request| (request.request.as_str(), request.sent))
        .collect();
    assert_eq!(sent, [("POST /a", 30), ("GET /b", 10)]);
    assert_eq!(run.lines.iter().filter(|line| line.request == "GET /b").count(), 10);
}

#[test]
fn notes_the_id_of_what_was_made() {
    let located = "HTTP/1.1 201 Created\r\nLocation: /notes/77\r\nContent-Length: 0\r\n\r\n";
    let server = Server::script(move |mut peer, number| async move {
        while peer.request().await.is_some() {
            match number {
                0 => peer.answer("201 Created", r#"{"title":"x", "id" : "018f-7"}"#).await,
                1 => peer.answer("201 Created", r#"{"id":42}"#).await,
                _ => peer.say(located).await,
            }
        }
    });
    let ids = || run(Plan { count: Some(1), ..plan(&server, &["POST /"]) }).lines[0].id.clone();
    assert_eq!([ids(), ids(), ids()], ["018f-7", "42", "77"]);
}

#[test]
fn sends_headers_with_the_number_and_the_tokens_of_the_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    fs::write(&file, "first\nsecond\n").expect("written");
    let server = Server::script(|mut peer, _| async move {
        while let Some(head) = peer.head().await {
            peer.answer("200 OK", &head).await;
        }
    });
    let mut plan = Plan {
        connections: 2,
        count: None,
        seconds: Some(Duration::from_millis(2500)),
        rate: Some(40.0),
        headers: vec![Header::parse("X-Key: key-{n}").expect("a header")],
        bearer: Some(Bearer::open(file.clone()).expect("tokens")),
        ..plan(&server, &[])
    };
    // The token changes in the middle: some answers tell the old one, some the new one.
    plan.requests = ["first", "second", "third"]
        .map(|token| {
            let mut request = request("GET /?q={n}");
            request.expect_body = Some(Text::new(format!("Bearer {token}").as_bytes()));
            request
        })
        .into();
    plan.requests.push(request("GET /?q={n}"));
    plan.requests[3].expect_body = Some(Text::new(b"x-key: key-{n}"));
    let renewed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(800));
        fs::write(&file, "third\n").expect("written");
    });
    let run = run(plan);
    renewed.join().expect("written");
    let ok: Vec<_> = run.report.requests.iter().map(|request| request.ok).collect();
    assert!(ok[..3].iter().all(|&ok| ok > 0), "each token was used: {ok:?}");
    assert_eq!(ok[3], run.report.requests[3].sent, "and the number is in each header");
}
