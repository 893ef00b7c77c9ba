//! When the next request is due.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;

use super::fault::{Class, Fault};
use super::job::Job;
use super::tally::Tally;

/// Requests due within this time are sent together, or a high rate would cost a wake-up each.
const TOGETHER: Duration = Duration::from_micros(100);

pub struct Source {
    tally: Rc<Tally>,
    /// Open loop: what is due and waits for a free worker.
    due: Option<RefCell<VecDeque<Job>>>,
    changed: Notify,
    closed: Cell<bool>,
}

impl Source {
    pub fn new(tally: Rc<Tally>) -> Self {
        let due = tally.shared.plan.rate.map(|_| RefCell::default());
        Self { tally, due, changed: Notify::new(), closed: Cell::new(false) }
    }

    /// The next request to send, waiting until one is due; None when there are no more.
    pub async fn next(&self) -> Option<Job> {
        let Some(due) = &self.due else {
            return self.now();
        };
        loop {
            let job = due.borrow_mut().pop_front();
            match job {
                Some(job) if job.deadline() <= Instant::now() => {
                    job.failed(Fault::new(
                        Class::NotStarted,
                        "no connection was free within the timeout",
                    ));
                }
                Some(job) => return Some(job),
                None if self.closed.get() => return None,
                None => self.changed.notified().await,
            }
        }
    }

    /// Closed loop: whoever asks is free, so it is due now.
    fn now(&self) -> Option<Job> {
        let now = Instant::now();
        if self.closed.get() || self.tally.shared.clock().is_over(now) {
            return None;
        }
        self.job(now)
    }

    fn job(&self, start: Instant) -> Option<Job> {
        let (sequence, request) = self.tally.shared.take()?;
        Some(Job::new(&self.tally, sequence, request, start))
    }

    /// Open loop: makes this thread's share of the requests due at their times. A closed loop needs
    /// none.
    pub async fn dispatch(&self, thread: usize) -> io::Result<()> {
        let (Some(due), Some(rate)) = (&self.due, self.tally.shared.plan.rate) else {
            return Ok(());
        };
        let result = self.make_due(due, rate, thread).await;
        self.no_more();
        result
    }

    async fn make_due(
        &self,
        due: &RefCell<VecDeque<Job>>,
        rate: f64,
        thread: usize,
    ) -> io::Result<()> {
        let (mut timer, clock) = (Timer::new()?, self.tally.shared.clock());
        let threads = self.tally.shared.plan.threads;
        for turn in 0u64.. {
            let nth = turn * threads as u64 + thread as u64;
            let start = clock.start + Duration::from_secs_f64(nth as f64 / rate);
            let now = Instant::now();
            if start > now {
                timer.sleep((start - now).max(TOGETHER)).await?;
            }
            if self.closed.get() || clock.is_over(start) {
                break;
            }
            let Some(job) = self.job(start) else { break };
            due.borrow_mut().push_back(job);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// What is due already is still given out.
    fn no_more(&self) {
        self.closed.set(true);
        self.changed.notify_waiters();
    }

    /// What is due and was not begun counts as interrupted.
    pub fn stop(&self) {
        self.no_more();
        if let Some(due) = &self.due {
            due.take();
        }
    }
}

/// A timer to the microsecond: the runtime's own rounds up to milliseconds, which would count as
/// the server's latency. A timer is read like a pipe, and the runtime's type for the one serves for
/// the other.
struct Timer(Receiver);

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
    }

    async fn sleep(&mut self, time: Duration) -> io::Result<()> {
        let it_value =
            Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        self.0.read_u64().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_timer_is_finer_than_the_runtime() {
        let mut timer = Timer::new().expect("a timer");
        let mut shortest = Duration::MAX;
        for _ in 0..50 {
            let before = Instant::now();
            timer.sleep(Duration::from_micros(300)).await.expect("a tick");
            shortest = shortest.min(before.elapsed());
        }
        assert!((300..800).contains(&shortest.as_micros()), "{shortest:?}");
    }
}
