//! Where the process is in its life, and the connections it holds.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is published yet: TERM ends the process at once.
    Starting,
    Ready,
    /// Goes on accepting, and says `Connection: close` in every reply.
    Draining,
    /// Accepts what is already queued, and no more.
    Closing,
    Ended,
}

pub struct Life {
    phase: watch::Sender<Phase>,
    /// Open connections: those from before the drain, and those since.
    open: [AtomicUsize; 2],
    accepted: AtomicU64,
    /// Workers that still accept.
    accepting: AtomicUsize,
}

impl Life {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: watch::Sender::new(Phase::Starting),
            open: [AtomicUsize::new(0), AtomicUsize::new(0)],
            accepted: AtomicU64::new(0),
            accepting: AtomicUsize::new(0),
        })
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Life goes one way only; says whether this was a step.
    pub fn enter(&self, next: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let forward = next > *phase;
            if forward {
                *phase = next;
            }
            forward
        })
    }

    /// A signal came. Says whether there is something to drain; if not, there never will be.
    pub fn begin_drain(&self) -> bool {
        let mut ready = false;
        self.phase.send_if_modified(|phase| {
            ready = *phase >= Phase::Ready;
            *phase = if ready { (*phase).max(Phase::Draining) } else { Phase::Ended };
            true
        });
        ready
    }

    pub async fn reached(&self, phase: Phase) {
        // Fails only when the sender is gone, and it is in `self`.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    pub fn open(&self) -> usize {
        self.open_before_drain() + self.open[1].load(Relaxed)
    }

    pub fn open_before_drain(&self) -> usize {
        self.open[0].load(Relaxed)
    }

    /// Connections accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    pub fn accepting(&self) -> usize {
        self.accepting.load(Acquire)
    }

    /// Counts as accepting until it is dropped, also by a panic.
    pub fn accept(self: &Arc<Self>) -> Accepting {
        self.accepting.fetch_add(1, Relaxed);
        Accepting(self.clone())
    }

    pub fn connection(self: &Arc<Self>) -> Connection {
        let kind = usize::from(self.is_draining());
        self.accepted.fetch_add(1, Relaxed);
        self.open[kind].fetch_add(1, Relaxed);
        Connection { life: self.clone(), kind }
    }
}

pub struct Accepting(Arc<Life>);

impl Drop for Accepting {
    fn drop(&mut self) {
        // Whoever sees this sees the connections that were accepted before.
        self.0.accepting.fetch_sub(1, Release);
    }
}

/// Counts as open until it is dropped.
pub struct Connection {
    life: Arc<Life>,
    kind: usize,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.life.open[self.kind].fetch_sub(1, Relaxed);
    }
}
