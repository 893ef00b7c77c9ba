//! Start and end of one slot.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use crate::support::{
    app::Site,
    http::Connection,
    process::{code, roadstead},
};

#[test]
fn a_wrong_setting_stops_the_start_and_is_named() {
    for (name, value) in
        [("ROADSTEAD_SLOT", "red"), ("ROADSTEAD_SLOTT", "blue"), ("ROADSTEAD_SERVER__DRAIN_S", "1")]
    {
        let output = roadstead("serve").env(name, value).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(code(output.status), 78, "{said}");
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn what_is_for_development_stops_the_start() {
    let site = Site::with(&[("ROADSTEAD_DEV_SIGN_IN", "x")]);
    let mut slot = site.start("blue");
    assert_eq!(code(slot.end(Duration::from_secs(10))), 1);
    assert!(slot.log().contains("ROADSTEAD_DEV_SIGN_IN: is for `roadstead dev`"), "{}", slot.log());
}

#[test]
fn a_missing_socket_directory_is_named() {
    let site = Site::new();
    let output = roadstead("serve")
        .env("ROADSTEAD_SLOT", "blue")
        .env("ROADSTEAD_SOCKET_DIR", site.dir().join("nowhere"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nowhere") && said.contains("ROADSTEAD_SOCKET_DIR"), "{said}");
    assert_eq!(code(output.status), 1);
}

#[test]
fn the_group_may_connect_and_others_may_not() {
    let site = Site::new();
    let slot = site.ready("blue");
    let mode = std::fs::metadata(&slot.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn the_health_check_believes_only_its_own_slot() {
    let site = Site::new();
    let check = |slot: &str| {
        let output = roadstead("healthcheck")
            .env("ROADSTEAD_SLOT", slot)
            .env("ROADSTEAD_SOCKET_DIR", site.dir())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(check("blue").1.contains("no process has ever held slot blue"));
    let blue = site.ready("blue");
    assert!(check("blue").0);
    // What a hand-over leaves: green's name leads to blue, and green itself is gone.
    std::os::unix::fs::symlink("blue.sock", site.dir().join("green.sock")).unwrap();
    std::fs::write(site.dir().join("green.lock"), "0123").unwrap();
    assert!(Connection::open(&site.dir().join("green.sock")).is_ok());
    let (well, said) = check("green");
    assert!(!well && said.contains("does not answer"), "{said}");
    drop(blue);
    assert!(!check("blue").0);
}

#[test]
fn an_idle_slot_ends_at_once_and_leaves_no_name() {
    let site = Site::new();
    let mut slot = site.ready("blue");
    slot.term();
    assert_eq!(code(slot.end(Duration::from_secs(3))), 0);
    assert!(!slot.socket.exists());
}

#[test]
fn a_blocked_worker_ends_at_the_hard_exit_and_the_log_says_why() {
    let timings = [
        ("ROADSTEAD_DATABASE__STATEMENT_TIMEOUT_MS", "900"),
        ("ROADSTEAD_SERVER__HANDLER_DEADLINE_S", "1"),
        ("ROADSTEAD_SERVER__DRAIN_S", "2"),
        ("ROADSTEAD_SERVER__HARD_EXIT_S", "3"),
    ];
    let site = Site::with(&timings);
    let mut slot = site.ready("blue");
    let mut connection = Connection::open(&slot.socket).unwrap();
    connection
        .send(b"GET /api/v1/drill/block?ms=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    slot.term();
    assert_eq!(code(slot.end(Duration::from_secs(5))), 1);
    assert!(slot.log().contains("exiting hard"), "{}", slot.log());
}

#[test]
fn without_its_database_it_waits_and_says_so_and_term_ends_it_at_once() {
    let site = Site::with(&[("ROADSTEAD_DATABASE__HOST", "/nowhere")]);
    let mut slot = site.start("blue");
    slot.wait_for(|slot| slot.log().contains("waiting: the database does not answer"));
    assert!(!slot.socket.exists(), "what is not ready is not published");
    slot.term();
    assert_eq!(code(slot.end(Duration::from_secs(1))), 128 + 15);
}

#[test]
fn a_schema_that_is_behind_is_waited_for() {
    let site = Site::new();
    let newest = "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations) RETURNING *";
    let back = format!("WITH gone AS ({newest}) SELECT * INTO kept FROM gone");
    site.change(&back);
    let slot = site.start("blue");
    slot.wait_for(|slot| slot.log().contains("`roadstead migrate`"));
    assert!(!slot.socket.exists());
    site.change("INSERT INTO schema_migrations SELECT * FROM kept");
    slot.wait_for(|slot| slot.socket.exists());
}

#[test]
fn a_schema_that_has_gone_past_it_is_never_served() {
    let site = Site::new();
    site.change("UPDATE schema_migrations SET readers_from = 9999 WHERE version = 1");
    let slot = site.start("blue");
    slot.wait_for(|slot| slot.log().contains("the schema has gone past this program"));
    assert!(!slot.socket.exists());
}

#[test]
fn another_master_key_stops_the_start_with_the_cure() {
    let site = Site::with(&[(
        "ROADSTEAD_AUTH__MASTER_KEY",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopA",
    )]);
    let mut slot = site.start("blue");
    assert_eq!(code(slot.end(Duration::from_secs(10))), 1);
    assert!(slot.log().contains("ROADSTEAD_AUTH__MASTER_KEY is not the one"), "{}", slot.log());
}

#[test]
fn a_signing_key_that_does_not_work_stops_the_start() {
    let site = Site::new();
    site.change("UPDATE signing_keys SET public_key = sha256('of another key')");
    let mut slot = site.start("blue");
    assert_eq!(code(slot.end(Duration::from_secs(10))), 1);
    assert!(
        slot.log().contains("its public half in signing_keys is another key's"),
        "{}",
        slot.log()
    );
}
