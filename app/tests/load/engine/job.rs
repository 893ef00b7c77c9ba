//! One request, from the moment it is due to the one line that says what became of it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::fault::{Class, Fault};
use super::reply::Reply;
use super::tally::{Entry, Tally};
use super::text::{Number, find};

/// Whoever drops it without a result has said that it was interrupted: none is forgotten, and none
/// is counted twice.
pub struct Job {
    pub number: Number,
    /// Which of the plan's requests it is.
    pub request: usize,
    /// When it was due; waiting for a free connection is part of its latency.
    pub start: Instant,
    pub resends: u8,
    timeout: Duration,
    tally: Option<Rc<Tally>>,
}

impl Job {
    pub fn new(tally: &Rc<Tally>, sequence: u64, request: usize, start: Instant) -> Self {
        let plan = &tally.shared.plan;
        let number = Number::new(plan.run, sequence);
        Self {
            number,
            request,
            start,
            resends: 0,
            timeout: plan.timeout,
            tally: Some(tally.clone()),
        }
    }

    pub fn deadline(&self) -> Instant {
        self.start + self.timeout
    }

    /// Closed loop: a stream that the server did not allow yet was not free to send.
    pub fn held_back(&mut self) {
        if self.tally.as_ref().is_some_and(|tally| tally.shared.plan.rate.is_none()) {
            self.start = Instant::now();
        }
    }

    /// Judges the answer.
    pub fn answered(mut self, reply: &Reply) {
        let Some(tally) = self.tally.take() else {
            return;
        };
        let request = &tally.shared.plan.requests[self.request];
        let right_status = match &request.expect_status[..] {
            [] => (200..300).contains(&reply.status),
            expected => expected.contains(&reply.status),
        };
        let right_body = || match &request.expect_body {
            Some(part) => find(&reply.body, part.clone().fill(&self.number)).is_some(),
            None => true,
        };
        let result = if !right_status {
            Err(Fault::new(Class::Status(reply.status), reply.shown()))
        } else if !right_body() {
            Err(Fault::new(Class::Body, reply.shown()))
        } else {
            Ok(())
        };
        tally.record(&Entry { job: &self, status: Some(reply.status), id: reply.id(), result });
    }

    pub fn failed(mut self, fault: Fault) {
        self.record_failure(fault);
    }

    /// To be sent again, as the server did not process it.
    pub fn resend(&mut self, class: Class) {
        self.resends += 1;
        if let Some(tally) = &self.tally {
            tally.unsent(class);
        }
    }

    fn record_failure(&mut self, fault: Fault) {
        if let Some(tally) = self.tally.take() {
            tally.record(&Entry { job: self, status: None, id: "", result: Err(fault) });
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.record_failure(Fault::new(Class::Interrupted, "the run was ended"));
    }
}
