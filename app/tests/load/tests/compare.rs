//! Ledgers against rows.

use std::path::PathBuf;

use super::plan;
use super::server::Server;
use crate::cli::Compare;
use crate::compare::{self, Comparison};
use crate::engine::{self, Plan, Stop};

/// A run of ten POSTs, of which the third is answered by 503, and as many GETs; the rows are made
/// from what arrived.
fn compared(rows: impl Fn(Vec<String>) -> Vec<String>) -> Comparison {
    let server = Server::script(|mut peer, _| async move {
        let mut count = 0;
        while let Some(body) = peer.request().await {
            count += usize::from(!body.is_empty());
            let status =
                if count == 3 && !body.is_empty() { "503 Unavailable" } else { "201 Created" };
            peer.answer(status, "").await;
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    let plan =
        Plan { ledger: Some(file("ledger")), ..plan(&server, &["POST /notes {n}", "GET /me"]) };
    engine::run(plan, &Stop::default(), |_| {}).expect("the run itself goes well");
    let bodies = server.bodies().into_iter().filter(|body| !body.is_empty()).collect();
    std::fs::write(file("rows"), rows(bodies).join("\n")).expect("written");
    let compare = Compare { ledger: file("ledger"), rows: file("rows"), only: "POST ".to_owned() };
    compare::run(&compare).expect("both can be read")
}

#[test]
fn each_acknowledged_body_once_is_right() {
    let found = compared(|mut rows| {
        rows.remove(2);
        let mut rows: Vec<_> = rows.iter().map(|row| format!("7|{row}|about {row}")).collect();
        rows.push("8|r00000000-0000000001|another run's".to_owned());
        rows.push("9|a person's".to_owned());
        rows
    });
    assert!(found.is_right(), "{found:?}");
    assert_eq!((found.acknowledged, found.rows, found.foreign_rows), (9, 9, 2));
}

#[test]
fn a_row_that_was_not_acknowledged_is_listed_but_right() {
    let found = compared(|rows| rows);
    assert!(found.is_right());
    assert_eq!((found.unacknowledged.len(), found.rows), (1, 10));
}

#[test]
fn a_missing_row_and_a_double_one_are_wrong() {
    let missing = compared(|rows| rows[1..].to_vec());
    assert!(!missing.is_right());
    assert_eq!((missing.missing.len(), missing.duplicates.len()), (1, 0));
    let double = compared(|mut rows| {
        rows.push(rows[0].clone());
        rows
    });
    assert!(!double.is_right());
    assert_eq!(double.duplicates.values().collect::<Vec<_>>(), [&2]);
    assert!(double.to_string().contains("1 there more than once"));
}
