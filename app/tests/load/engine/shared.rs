//! What the threads of a run share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::ledger::Ledger;
use super::plan::Plan;

/// Ends a run early from another thread or a signal; its clones mean the same run.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<Level>>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Run,
    /// Begin no more requests, wait a little for the answers to those under way.
    Finish,
    /// Wait for nothing.
    Abort,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Level::Run)))
    }
}

impl Stop {
    pub fn set(&self, level: Level) {
        self.0.send_modify(|now| *now = level.max(*now));
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow() > Level::Run
    }

    pub async fn reached(&self, level: Level) {
        let mut levels = self.0.subscribe();
        // Fails only without a sender, and we are one.
        let _ = levels.wait_for(|now| *now >= level).await;
    }
}

pub struct Shared {
    pub plan: Plan,
    pub stop: Stop,
    pub ledger: Option<Ledger>,
    pub clock: OnceLock<Clock>,
    schedule: Vec<usize>,
    next: AtomicU64,
    pub ok: AtomicU64,
    pub failed: AtomicU64,
    last_ok_us: AtomicU64,
    max_gap_us: AtomicU64,
}

#[derive(Clone, Copy)]
pub struct Clock {
    pub start: Instant,
    /// No request begins later.
    pub until: Option<Instant>,
    epoch: Duration,
}

impl Clock {
    pub fn start(seconds: Option<Duration>) -> Self {
        let start = Instant::now();
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start, until: seconds.map(|seconds| start + seconds), epoch }
    }

    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    pub fn unix(&self, time: Instant) -> Duration {
        self.epoch + time.saturating_duration_since(self.start)
    }
}

impl Shared {
    pub fn new(plan: Plan, stop: Stop) -> std::io::Result<Self> {
        Ok(Self {
            ledger: plan.ledger.as_deref().map(Ledger::create).transpose()?,
            schedule: plan.schedule(),
            plan,
            stop,
            clock: OnceLock::new(),
            next: AtomicU64::new(0),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_ok_us: AtomicU64::new(0),
            max_gap_us: AtomicU64::new(0),
        })
    }

    pub fn clock(&self) -> &Clock {
        self.clock.get().expect("started before the first request")
    }

    /// The sequence number of the next request and its kind; None when all are given out.
    pub fn take(&self) -> Option<(u64, usize)> {
        let taken = self.next.fetch_add(1, Relaxed);
        if self.plan.count.is_some_and(|count| taken >= count) {
            return None;
        }
        Some((taken + 1, self.schedule[(taken % self.schedule.len() as u64) as usize]))
    }

    pub fn all_taken(&self) -> bool {
        self.plan.count.is_some_and(|count| self.next.load(Relaxed) >= count)
    }

    pub fn succeeded(&self, at: Instant) {
        self.ok.fetch_add(1, Relaxed);
        let now = micros(at.saturating_duration_since(self.clock().start));
        let before = self.last_ok_us.fetch_max(now, Relaxed);
        self.max_gap_us.fetch_max(now.saturating_sub(before), Relaxed);
    }

    /// The longest time without a success up to the end, the time since the last one included.
    pub fn max_gap(&self, end: Duration) -> Duration {
        let tail = micros(end).saturating_sub(self.last_ok_us.load(Relaxed));
        Duration::from_micros(self.max_gap_us.load(Relaxed).max(tail))
    }
}

pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
