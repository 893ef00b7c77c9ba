//! What a run gave, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::fault::Class;
use super::shared::Shared;
use super::tally::{Counts, RequestCounts};

#[derive(Debug, Serialize)]
pub struct Report {
    /// What all numbers of the run begin with.
    pub run: String,
    pub protocol: &'static str,
    pub connections: usize,
    pub streams: usize,
    /// Requests a second asked for; null in a closed loop.
    pub asked_rate: Option<f64>,
    /// Every request begun, also those that failed before a byte of them left: `ok` and all of
    /// `failed`.
    pub sent: u64,
    pub ok: u64,
    pub failed: BTreeMap<String, u64>,
    pub failed_total: u64,
    /// Attempts that the server certainly did not process, and that were sent anew; no part of
    /// `sent`.
    pub unsent: BTreeMap<String, u64>,
    pub unsent_total: u64,
    /// The time in which requests were sent, and the successes a second in it.
    pub seconds: f64,
    pub rate: f64,
    /// Of the successes.
    pub latency_ms: Latency,
    /// The longest time without a success.
    pub max_gap_ms: f64,
    pub connections_opened: u64,
    /// Processor time that this client took.
    pub client_cpu_seconds: Option<f64>,
    pub interrupted: bool,
    /// The first failure of each class.
    pub first_failures: Vec<Failure>,
    /// One for each of the mix.
    pub requests: Vec<RequestReport>,
}

#[derive(Debug, Serialize)]
pub struct RequestReport {
    pub request: String,
    pub sent: u64,
    pub ok: u64,
    pub failed: BTreeMap<String, u64>,
    pub latency_ms: Latency,
}

#[derive(Debug, Serialize)]
pub struct Failure {
    pub class: String,
    pub n: String,
    pub at_seconds: f64,
    pub detail: String,
}

#[derive(Debug, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Report {
    pub fn new(shared: &Shared, counts: &Counts) -> Self {
        let plan = &shared.plan;
        let interrupted = shared.stop.is_set();
        let span = span(shared, counts, interrupted);
        let mut total = RequestCounts::default();
        for request in &counts.requests {
            total.add(request);
        }
        let requests = plan.requests.iter().zip(&counts.requests);
        Self {
            run: format!("r{:08x}", plan.run),
            protocol: plan.protocol.name(),
            connections: plan.connections,
            streams: plan.streams,
            asked_rate: plan.rate,
            sent: total.sent(),
            ok: total.ok,
            failed: named(&total.failed),
            failed_total: total.failed.values().sum(),
            unsent: named(&counts.unsent),
            unsent_total: counts.unsent.values().sum(),
            seconds: rounded(span.as_secs_f64()),
            rate: rounded(counts.ok_in_time as f64 / span.as_secs_f64().max(1e-6)),
            latency_ms: Latency::of(&total.latency_us),
            max_gap_ms: rounded(shared.max_gap(span).as_secs_f64() * 1e3),
            connections_opened: plan.target.opened.load(Relaxed),
            client_cpu_seconds: cpu_seconds(),
            interrupted,
            first_failures: counts.first.iter().map(Failure::new).collect(),
            requests: requests
                .map(|(request, counts)| RequestReport::new(request.name(), counts))
                .collect(),
        }
    }
}

/// A timed run is measured over its whole time, other runs until their last result.
fn span(shared: &Shared, counts: &Counts, interrupted: bool) -> Duration {
    let clock = shared.clock();
    let last = counts.last.map_or(Duration::ZERO, |last| last - clock.start);
    match shared.plan.seconds {
        Some(seconds) if interrupted || shared.all_taken() => last.min(seconds),
        Some(seconds) => seconds,
        None => last,
    }
}

impl RequestReport {
    fn new(request: String, counts: &RequestCounts) -> Self {
        let latency_ms = Latency::of(&counts.latency_us);
        Self {
            request,
            sent: counts.sent(),
            ok: counts.ok,
            failed: named(&counts.failed),
            latency_ms,
        }
    }
}

impl Failure {
    fn new((class, first): (&Class, &super::tally::First)) -> Self {
        let (n, at_seconds) = (first.number.clone(), rounded(first.at.as_secs_f64()));
        Self { class: class.name().into_owned(), n, at_seconds, detail: first.detail.clone() }
    }
}

impl Latency {
    fn of(us: &Histogram<u64>) -> Self {
        let at = |quantile| us.value_at_quantile(quantile) as f64 / 1e3;
        let (mean, max) = (rounded(us.mean() / 1e3), us.max() as f64 / 1e3);
        Self { mean, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999).min(max), max }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests in {} s: {} ok ({} a second), {} failed",
            self.sent, self.seconds, self.ok, self.rate, self.failed_total
        )?;
        for (class, count) in &self.failed {
            let first = self.first_failures.iter().find(|first| first.class == *class);
            let detail = first.map_or("", |first| &first.detail);
            writeln!(f, "  failed: {count} × {class} ({detail})")?;
        }
        for (class, count) in &self.unsent {
            writeln!(f, "  sent anew: {count} × {class}")?;
        }
        writeln!(f, "latency ms: {}", self.latency_ms)?;
        for request in self.requests.iter().filter(|_| self.requests.len() > 1) {
            writeln!(
                f,
                "  {}: {} sent, {} ok; {}",
                request.request, request.sent, request.ok, request.latency_ms
            )?;
        }
        writeln!(
            f,
            "longest time without a success: {} ms; connections opened: {}",
            self.max_gap_ms, self.connections_opened
        )
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max, .. } = self;
        write!(f, "p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")
    }
}

fn named(counts: &BTreeMap<Class, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(class, &count)| (class.name().into_owned(), count)).collect()
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Of this process so far; the kernel counts in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
