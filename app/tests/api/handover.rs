//! The hand-over, and the bad states around it. Each test is seen to fail without its cure.

use std::{
    os::unix::fs::symlink,
    thread::{sleep, spawn},
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    app::Site,
    http::Connection,
    process::{Slot, code},
    proxy::{Outcome, Proxy},
};

const SOON: Duration = Duration::from_secs(8);

fn pair(site: &Site) -> (Slot, Slot) {
    (site.ready("blue"), site.ready("green"))
}

#[test]
fn slots_replaced_in_turn_lose_no_request() {
    let site = Site::new();
    let (mut blue, mut green) = pair(&site);
    let proxy = Proxy::start(&blue.socket);
    for _ in 0..3 {
        proxy.pass(500);
        blue.term();
        assert_eq!(code(blue.end(SOON)), 0);
        assert!(blue.socket.is_symlink(), "the name leads to the sibling");
        proxy.pass(200);
        blue = site.ready("blue");
        proxy.pass(500);
        green.term();
        assert_eq!(code(green.end(SOON)), 0);
        green = site.ready("green");
    }
    proxy.pass(500);
    assert_eq!(proxy.finish(), Outcome::CLEAN);
}

#[test]
fn term_with_the_sibling_dead_finishes_what_began_and_leaves_no_dead_link() {
    for leave in ["nothing", "stale socket", "dangling link", "loop"] {
        let site = Site::new();
        let green = site.dir().join("green.sock");
        if leave == "stale socket" {
            site.ready("green").kill();
            assert!(green.exists());
        }
        let mut blue = site.ready("blue");
        match leave {
            "dangling link" => symlink("nowhere.sock", &green).unwrap(),
            "loop" => symlink("blue.sock", &green).unwrap(),
            _ => {}
        }
        let mut connection = Connection::open(&blue.socket).unwrap();
        connection.send(b"GET /api/v1/drill/sleep?ms=700 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        sleep(Duration::from_millis(100));
        blue.term();
        sleep(Duration::from_millis(200));
        assert!(!blue.socket.is_symlink(), "{leave}: a link to nobody");
        // Until then it serves, since nobody else does.
        assert_eq!(
            Connection::open(&blue.socket).unwrap().get("/health/live").unwrap().status,
            200
        );
        let reply = connection.receive(false).unwrap();
        assert_eq!((reply.status, reply.closes()), (204, true), "{leave}");
        assert_eq!(code(blue.end(SOON)), 0);
        assert!(!blue.socket.is_symlink() && !blue.socket.exists(), "{leave}");
    }
}

#[test]
fn term_to_both_makes_no_loop_and_loses_nothing_that_was_accepted() {
    for pause in [0, 30] {
        let site = Site::new();
        let (mut blue, mut green) = pair(&site);
        let proxy = Proxy::start(&blue.socket);
        proxy.pass(300);
        blue.term();
        sleep(Duration::from_millis(pause));
        green.term();
        assert_eq!(code(blue.end(SOON)), 0);
        assert_eq!(code(green.end(SOON)), 0);
        let both = [&blue.socket, &green.socket].map(|name| name.is_symlink());
        assert_ne!(both, [true, true], "two links lead to each other");
        let blue = site.ready("blue");
        proxy.pass(100);
        assert_eq!(proxy.finish().lost, 0, "{}", blue.log());
    }
}

#[test]
fn a_sibling_killed_during_the_drain_gives_the_name_back() {
    let site = Site::new();
    let (mut blue, green) = pair(&site);
    // Keeps blue in its drain.
    let mut slow = Connection::open(&blue.socket).unwrap();
    slow.send(b"GET /api/v1/drill/sleep?ms=2500 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    sleep(Duration::from_millis(100));
    blue.term();
    blue.wait_for(|blue| blue.socket.is_symlink());
    green.kill();
    blue.wait_for(|blue| !blue.socket.is_symlink());
    assert_eq!(Connection::open(&blue.socket).unwrap().get("/health/live").unwrap().status, 200);
    // It stays, beyond its last old request, until somebody can take over.
    assert_eq!(slow.receive(false).unwrap().status, 204);
    sleep(Duration::from_millis(600));
    assert!(blue.is_running());
    let proxy = Proxy::start(&blue.socket);
    proxy.pass(100);
    let _green = site.ready("green");
    assert_eq!(code(blue.end(SOON)), 0);
    proxy.pass(100);
    assert_eq!(proxy.finish(), Outcome::CLEAN);
}

#[test]
fn a_sibling_that_starts_after_term_takes_over() {
    let site = Site::new();
    let mut blue = site.ready("blue");
    let mut slow = Connection::open(&blue.socket).unwrap();
    slow.send(b"GET /api/v1/drill/sleep?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    sleep(Duration::from_millis(100));
    blue.term();
    let _green = site.ready("green");
    blue.wait_for(|blue| blue.socket.is_symlink());
    assert_eq!(slow.receive(false).unwrap().status, 204);
    assert_eq!(code(blue.end(SOON)), 0);
}

#[test]
fn requests_behind_a_blocked_worker_are_answered_by_the_other() {
    let site = Site::new();
    let mut blue = site.ready("blue");
    let mut blocked = Connection::open(&blue.socket).unwrap();
    blocked.send(b"GET /api/v1/drill/block?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    sleep(Duration::from_millis(100));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut connection = Connection::open(&blue.socket).unwrap();
            connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            spawn(move || connection.receive(false).map(|reply| reply.status))
        })
        .collect();
    blue.term();
    for reply in waiting {
        assert_eq!(reply.join().unwrap().unwrap(), 200);
    }
    assert_eq!(blocked.receive(false).unwrap().status, 204);
    assert_eq!(code(blue.end(SOON)), 0);
}

#[test]
fn with_all_workers_blocked_what_is_queued_is_still_answered() {
    let site = Site::with(&[("ROADSTEAD_WORKERS", "1")]);
    let mut blue = site.ready("blue");
    let mut blocked = Connection::open(&blue.socket).unwrap();
    blocked.send(b"GET /api/v1/drill/block?ms=1200 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    sleep(Duration::from_millis(100));
    let mut queued: Vec<_> = (0..5)
        .map(|_| {
            let mut connection = Connection::open(&blue.socket).unwrap();
            connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            connection
        })
        .collect();
    blue.term();
    for connection in &mut queued {
        assert_eq!(connection.receive(false).unwrap().status, 200);
    }
    assert_eq!(code(blue.end(SOON)), 0);
}

#[test]
fn a_second_process_on_a_live_slot_ends_and_takes_nothing() {
    let site = Site::new();
    let (blue, _green) = pair(&site);
    let proxy = Proxy::start(&blue.socket);
    for _ in 0..3 {
        proxy.pass(200);
        let mut second = site.start("blue");
        second.signal(Signal::TERM);
        second.end(SOON);
        let mut third = site.start("blue");
        assert_eq!(code(third.end(SOON)), 1);
        assert!(third.log().contains("another process serves slot blue already"));
    }
    assert_eq!(proxy.finish(), Outcome::CLEAN);
}

#[test]
fn a_slot_killed_by_force_is_back_with_its_name() {
    let site = Site::new();
    let (mut blue, _green) = pair(&site);
    let proxy = Proxy::start(&blue.socket);
    proxy.pass(300);
    blue.kill();
    blue.end(SOON);
    let _blue = site.ready("blue");
    proxy.pass(300);
    let outcome = proxy.finish();
    // No more than were outstanding: eight clients, one request each.
    assert!(outcome.lost <= 8 && outcome.refused == 0, "{outcome:?}");
}
