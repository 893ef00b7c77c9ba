//! Whether the machine, which others use, too, let us run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

/// A machine on which a thread that wants to run waits for so long measures nothing.
pub const STALL: Duration = Duration::from_millis(200);

/// The longest time for which a thread that wanted to run did not, since it was asked last.
pub struct Watch {
    stop: Arc<AtomicBool>,
    worst: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start() -> Self {
        let (stop, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, longest) = (stop.clone(), worst.clone());
        let watch = move || {
            while !until.load(Relaxed) {
                let (begun, pause) = (Instant::now(), Duration::from_millis(5));
                sleep(pause);
                let late = begun.elapsed().saturating_sub(pause).as_millis() as u64;
                longest.fetch_max(late, Relaxed);
            }
        };
        Self { stop, worst, thread: Some(spawn(watch)) }
    }

    pub fn worst(&self) -> Duration {
        Duration::from_millis(self.worst.swap(0, Relaxed))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
