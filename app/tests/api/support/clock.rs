//! Time on a machine that others use, too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

const TICK: Duration = Duration::from_millis(5);
/// Later than this, and a tick was not merely imprecise.
const LATE: Duration = Duration::from_millis(25);

/// Tells how long the whole machine stood still while something was done.
pub struct Watch {
    begun: Instant,
    stop: Arc<AtomicBool>,
    ticker: JoinHandle<Duration>,
}

impl Watch {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let ticker = spawn(move || {
            let (mut still, mut last) = (Duration::ZERO, Instant::now());
            while !seen.load(Relaxed) {
                sleep(TICK);
                let gap = last.elapsed();
                last = Instant::now();
                if gap > LATE {
                    still += gap - TICK;
                }
            }
            still
        });
        Self { begun: Instant::now(), stop, ticker }
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn stood_still(self) -> Duration {
        self.stop.store(true, Relaxed);
        self.ticker.join().unwrap()
    }
}
