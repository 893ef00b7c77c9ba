//! The load client against servers that answer, close, reset, lie and fall silent.

mod answers;
mod compare;
mod failures;
mod goaway;
mod http2;
mod pace;
mod server;
mod tls;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::{self, Plan, Protocol, Report, Request, Route, Stop, Target};
use server::Server;

/// One line of a ledger.
#[derive(Debug)]
pub struct Line {
    pub number: String,
    pub latency_us: u64,
    pub request: String,
    pub status: String,
    pub result: String,
    pub id: String,
    pub resends: u8,
}

pub struct Run {
    pub report: Report,
    pub lines: Vec<Line>,
}

impl Run {
    /// How many lines have this result.
    pub fn count(&self, result: &str) -> usize {
        self.lines.iter().filter(|line| line.result == result).count()
    }
}

pub fn request(line: &str) -> Request {
    Request::parse(line).expect("a well-formed request")
}

pub fn plan(server: &Server, requests: &[&str]) -> Plan {
    let route = Route { unix: Some(&server.path()), ..Route::default() };
    let url = "http://example.test".parse().expect("a URL");
    let target = Target::new(&url, &route, Protocol::Http1).expect("a target");
    let requests = requests.iter().map(|line| request(line)).collect();
    Plan { count: Some(20), timeout: Duration::from_secs(5), ..Plan::new(target, requests) }
}

pub fn plan2(server: &Server, requests: &[&str]) -> Plan {
    Plan { protocol: Protocol::Http2, streams: 4, ..plan(server, requests) }
}

pub fn run(plan: Plan) -> Run {
    run_until(plan, &Stop::default())
}

/// Every run of every test is held against its ledger: one line a request, and the same sums.
pub fn run_until(mut plan: Plan, stop: &Stop) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger.tsv");
    plan.ledger = Some(ledger.clone());
    let report = engine::run(plan, stop, |_| {}).expect("the run itself goes well");
    let text = std::fs::read_to_string(ledger).expect("a ledger");
    let lines: Vec<Line> = text.lines().skip(1).map(read_line).collect();
    let run = Run { report, lines };
    check(&run);
    run
}

fn read_line(line: &str) -> Line {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[number, start, latency, _protocol, request, status, result, id, resends] = &fields[..]
    else {
        panic!("{line:?} has other columns");
    };
    assert!(start.parse::<u64>().is_ok());
    Line {
        number: number.to_owned(),
        latency_us: latency.parse().expect("a number"),
        request: request.to_owned(),
        status: status.to_owned(),
        result: result.to_owned(),
        id: id.to_owned(),
        resends: resends.parse().expect("a number"),
    }
}

fn check(run: &Run) {
    let Run { report, lines } = run;
    let numbers: BTreeSet<_> = lines.iter().map(|line| &line.number).collect();
    assert_eq!(numbers.len(), lines.len(), "a number has two lines");
    assert_eq!(lines.len() as u64, report.sent, "the ledger and the report count differently");
    assert_eq!(report.sent, report.ok + report.failed_total);
    let mut results: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        *results.entry(line.result.clone()).or_default() += 1;
    }
    assert_eq!(results.remove("ok").unwrap_or(0), report.ok);
    assert_eq!(results, report.failed);
    assert_eq!(lines.iter().map(|line| u64::from(line.resends)).sum::<u64>(), report.unsent_total);
    assert_eq!(report.requests.iter().map(|request| request.sent).sum::<u64>(), report.sent);
}
