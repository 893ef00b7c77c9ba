//! HTTP/2 connections and streams that end, frame by frame.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Peer, Server, created};
use super::{Run, plan2, run};
use crate::engine::Plan;

const POST: &str = "POST /notes {n}";
const DATA: u8 = 0;
const SETTING: u8 = 4;
const SETTINGS: &[u8] = &[0, 0, 0, SETTING, 0, 0, 0, 0, 0];
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u8 = 7;

/// `:status: 200` and the end of the stream.
fn ok(stream: u8) -> Vec<u8> {
    vec![0, 0, 1, 1, 5, 0, 0, 0, stream, 0x88]
}

/// The head of an answer whose body is to follow.
fn head(stream: u8) -> Vec<u8> {
    vec![0, 0, 1, 1, 4, 0, 0, 0, stream, 0x88]
}

fn reset(stream: u8, reason: u8) -> Vec<u8> {
    vec![0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, reason]
}

fn goaway(last: u8) -> Vec<u8> {
    vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0]
}

/// Waits until so many requests have arrived whole (a DATA frame that ends its stream), and the
/// settings were taken: then the client has nothing more to write, and reads to the end whatever is
/// said.
async fn requests(peer: &mut Peer, count: usize) {
    peer.stream.write_all(SETTINGS).await.expect("the client is there");
    let mut preface = [0; 24];
    peer.stream.read_exact(&mut preface).await.expect("a preface");
    let (mut whole, mut agreed) = (0, false);
    while whole < count || !agreed {
        match frame(peer).await {
            (DATA, 1) => whole += 1,
            (SETTING, 1) => agreed = true,
            _ => {}
        }
    }
}

/// Reads a frame, and tells its type and flags.
async fn frame(peer: &mut Peer) -> (u8, u8) {
    let mut head = [0; 9];
    peer.stream.read_exact(&mut head).await.expect("a frame");
    let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
    peer.stream.read_exact(&mut payload).await.expect("its payload");
    (head[3], head[4])
}

#[derive(Clone, Copy)]
enum Then {
    Stays,
    Closes,
    ClosesAfterOneMore,
}

/// The first connection takes four requests (streams 1, 3, 5, 7), and says this; others serve well.
fn server(frames: Vec<Vec<u8>>, then: Then) -> Server {
    Server::script(move |mut peer, number| {
        let frames = frames.concat();
        async move {
            if number > 0 {
                return peer.http2(100, |body| async { created(body) }).await;
            }
            requests(&mut peer, 4).await;
            peer.stream.write_all(&frames).await.expect("the client is there");
            match then {
                Then::Stays => peer.hold().await,
                Then::Closes => {}
                Then::ClosesAfterOneMore => while frame(&mut peer).await != (DATA, 1) {},
            }
        }
    })
}

#[test]
fn streams_above_the_last_of_a_goaway_are_sent_anew() {
    let server = server(vec![goaway(3), ok(1), ok(3)], Then::Stays);
    let Run { report, .. } = run(plan2(&server, &[POST]));
    assert_eq!((report.ok, report.unsent["goaway"], server.connections()), (20, 2, 2));
}

#[test]
fn streams_below_it_that_are_not_answered_are_lost() {
    let server = server(vec![goaway(3), ok(1)], Then::Closes);
    let run = run(plan2(&server, &[POST]));
    assert_eq!((run.report.ok, run.count("no_reply"), run.report.unsent["goaway"]), (19, 1, 2));
    assert_eq!(run.report.failed_total, 1);
}

#[test]
fn strictly_a_goaway_is_a_failure() {
    let server = server(vec![goaway(3), ok(1), ok(3)], Then::Stays);
    let run = run(Plan { strict: true, ..plan2(&server, &[POST]) });
    assert_eq!((run.report.ok, run.count("goaway"), run.report.unsent_total), (18, 2, 0));
}

#[test]
fn a_server_that_sends_everyone_away_is_not_asked_for_ever() {
    let server = Server::script(|mut peer, _| async move {
        requests(&mut peer, 1).await;
        peer.stream.write_all(&goaway(0)).await.expect("the client is there");
        peer.hold().await;
    });
    let run = run(Plan { streams: 1, count: Some(2), ..plan2(&server, &[POST]) });
    assert_eq!((run.count("goaway"), run.report.unsent_total), (2, 6));
}

#[test]
fn a_graceful_end_in_the_middle_loses_nothing() {
    let server = Server::script(|peer, _| async move {
        let (ends, mut end) = tokio::sync::mpsc::channel(100);
        let thirty = async move {
            for _ in 0..30 {
                end.recv().await;
            }
        };
        let handler = move |body| {
            let ends = ends.clone();
            async move {
                let _ = ends.try_send(());
                created(body)
            }
        };
        peer.http2_until(thirty, 100, handler).await;
    });
    let run = run(Plan { streams: 8, count: Some(500), ..plan2(&server, &[POST]) });
    assert_eq!((run.report.ok, server.bodies().len()), (500, 500));
    assert!(server.connections() > 10, "{}", server.connections());
}

#[test]
fn refused_streams_are_sent_anew_and_broken_ones_are_lost() {
    let refuses =
        server(vec![reset(3, REFUSED_STREAM), ok(1), ok(5), ok(7), goaway(7)], Then::Stays);
    let Run { report, .. } = run(Plan { count: Some(4), ..plan2(&refuses, &[POST]) });
    assert_eq!((report.ok, report.unsent["refused_stream"]), (4, 1));
    let breaks = server(vec![reset(3, INTERNAL_ERROR), ok(1), ok(5), ok(7)], Then::Stays);
    let run = run(Plan { count: Some(4), ..plan2(&breaks, &[POST]) });
    assert_eq!((run.report.ok, run.count("stream_reset"), run.report.unsent_total), (3, 1, 0));
}

#[test]
fn a_broken_connection_loses_what_was_under_way() {
    // Streams 1 and 3, and the one that followed the answer to 5; the answer to 7 has begun.
    let server = server(vec![ok(5), head(7)], Then::ClosesAfterOneMore);
    let run = run(plan2(&server, &[POST]));
    assert_eq!((run.count("no_reply"), run.count("half_reply"), run.report.ok), (3, 1, 16));
}

#[test]
fn an_idle_connection_closed_by_the_server_loses_nothing() {
    let server = Server::script(|mut peer, _| async move {
        requests(&mut peer, 1).await;
        peer.stream.write_all(&ok(1)).await.expect("the client is there");
    });
    let run = run(Plan { rate: Some(10.0), count: Some(6), streams: 1, ..plan2(&server, &[POST]) });
    assert_eq!((run.report.ok, run.report.unsent["closed_unwritten"]), (6, 5));
}
