//! What one thread has counted; added up at the end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::fault::{Class, Fault};
use super::job::Job;
use super::plan::Request;
use super::shared::{Shared, micros};

const LEDGER_BUFFER: usize = 64 * 1024;
const LEDGER_AGE: Duration = Duration::from_secs(1);

pub struct Tally {
    pub shared: Arc<Shared>,
    counts: RefCell<Counts>,
    names: Vec<String>,
    lines: RefCell<Vec<u8>>,
    written: Cell<Instant>,
}

pub struct Entry<'a> {
    pub job: &'a Job,
    pub status: Option<u16>,
    pub id: &'a str,
    pub result: Result<(), Fault>,
}

#[derive(Default)]
pub struct Counts {
    pub requests: Vec<RequestCounts>,
    pub unsent: BTreeMap<Class, u64>,
    /// The first failure of each class.
    pub first: BTreeMap<Class, First>,
    /// Successes in the time in which requests were sent.
    pub ok_in_time: u64,
    pub last: Option<Instant>,
}

#[derive(Clone)]
pub struct First {
    pub number: String,
    pub at: Duration,
    pub detail: String,
}

pub struct RequestCounts {
    pub ok: u64,
    pub failed: BTreeMap<Class, u64>,
    pub latency_us: Histogram<u64>,
}

impl Default for RequestCounts {
    fn default() -> Self {
        let latency_us = Histogram::new(3).expect("3 digits are allowed");
        Self { ok: 0, failed: BTreeMap::new(), latency_us }
    }
}

impl Tally {
    pub fn new(shared: Arc<Shared>) -> Self {
        let names: Vec<_> = shared.plan.requests.iter().map(Request::name).collect();
        let counts = Counts {
            requests: names.iter().map(|_| RequestCounts::default()).collect(),
            ..Counts::default()
        };
        let (lines, written) = (RefCell::default(), Cell::new(Instant::now()));
        Self { shared, counts: RefCell::new(counts), names, lines, written }
    }

    pub fn unsent(&self, class: Class) {
        *self.counts.borrow_mut().unsent.entry(class).or_default() += 1;
    }

    pub fn record(&self, entry: &Entry<'_>) {
        let (now, clock) = (Instant::now(), self.shared.clock());
        let latency = micros(now.saturating_duration_since(entry.job.start));
        let counts = &mut *self.counts.borrow_mut();
        let request = &mut counts.requests[entry.job.request];
        counts.last = Some(now);
        match &entry.result {
            Ok(()) => {
                request.ok += 1;
                request.latency_us.record(latency.max(1)).expect("the histogram grows");
                counts.ok_in_time += u64::from(!clock.is_over(now));
                self.shared.succeeded(now);
            }
            Err(fault) => {
                *request.failed.entry(fault.class).or_default() += 1;
                counts.first.entry(fault.class).or_insert_with(|| First {
                    number: entry.job.number.to_string(),
                    at: now - clock.start,
                    detail: fault.detail.clone(),
                });
                self.shared.failed.fetch_add(1, Relaxed);
            }
        }
        self.write_line(entry, now, latency);
    }

    fn write_line(&self, entry: &Entry<'_>, now: Instant, latency: u64) {
        let Some(ledger) = &self.shared.ledger else {
            return;
        };
        let lines = &mut *self.lines.borrow_mut();
        let start = micros(self.shared.clock().unix(entry.job.start));
        let (protocol, name) = (self.shared.plan.protocol.name(), &self.names[entry.job.request]);
        let mut write =
            |part: std::fmt::Arguments<'_>| lines.write_fmt(part).expect("memory takes all");
        write(format_args!("{}\t{start}\t{latency}\t{protocol}\t{name}\t", entry.job.number));
        match entry.status {
            Some(status) => write(format_args!("{status}\t")),
            None => write(format_args!("-\t")),
        }
        let result =
            entry.result.as_ref().map_or_else(|fault| fault.class.name(), |()| "ok".into());
        write(format_args!("{result}\t{}\t{}\n", entry.id, entry.job.resends));
        if lines.len() > LEDGER_BUFFER || now - self.written.get() > LEDGER_AGE {
            self.written.set(now);
            ledger.write(lines);
        }
    }

    pub fn finish(self) -> Counts {
        if let Some(ledger) = &self.shared.ledger {
            ledger.write(&mut self.lines.borrow_mut());
        }
        self.counts.into_inner()
    }
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        for (mine, theirs) in self.requests.iter_mut().zip(other.requests) {
            mine.add(&theirs);
        }
        add(&mut self.unsent, &other.unsent);
        for (class, first) in other.first {
            let mine = self.first.entry(class).or_insert_with(|| first.clone());
            if first.at < mine.at {
                *mine = first;
            }
        }
        self.ok_in_time += other.ok_in_time;
        self.last = self.last.max(other.last);
    }
}

impl RequestCounts {
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        add(&mut self.failed, &other.failed);
        self.latency_us.add(&other.latency_us).expect("the histogram grows");
    }

    pub fn sent(&self) -> u64 {
        self.ok + self.failed.values().sum::<u64>()
    }
}

fn add(to: &mut BTreeMap<Class, u64>, from: &BTreeMap<Class, u64>) {
    for (&class, count) in from {
        *to.entry(class).or_default() += count;
    }
}
