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

/// Measures how long something takes, and how much of that the whole machine stood still.
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

    pub fn stop(self) -> (Duration, Duration) {
        let took = self.begun.elapsed();
        self.stop.store(true, Relaxed);
        (took, self.ticker.join().unwrap())
    }
}
