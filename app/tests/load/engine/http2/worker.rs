//! Sends one request after the other, each as a stream on the connection that it shares with its
//! fellows.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::super::crew::{Crew, in_time};
use super::super::fault::{Class, Fault, Lost};
use super::super::job::Job;
use super::super::reply::Reply;
use super::super::wire::{Ready, Request2};
use super::{Link, Session};

/// A server that refuses a stream is at its limit for a moment.
const AFTER_REFUSAL: Duration = Duration::from_millis(5);

pub struct Worker {
    crew: Rc<Crew>,
    ready: Ready<Request2>,
    reply: Reply,
    link: Rc<Link>,
}

impl Worker {
    pub fn new(crew: Rc<Crew>, number: usize, link: Rc<Link>) -> Self {
        Self { crew, ready: Ready::new(number), reply: Reply::default(), link }
    }

    pub async fn run(mut self) {
        while let Some(job) = self.crew.source.next().await {
            let mut job = Some(job);
            while let Some(attempt) = job {
                job = self.attempt(attempt).await;
            }
        }
    }

    /// Gives the request back if it is to be sent anew.
    async fn attempt(&mut self, mut job: Job) -> Option<Job> {
        let crew = self.crew.clone();
        let (session, is_new) =
            match in_time(job.deadline(), self.link.session(&crew.plan().target)).await {
                Ok(opened) => opened,
                Err(fault) => {
                    crew.fail(job, fault).await;
                    return None;
                }
            };
        let (deadline, began) = (job.deadline(), Instant::now());
        match timeout_at(deadline.into(), self.exchange(&session, &mut job)).await {
            Ok(Ok(())) => {
                job.answered(&self.reply);
                None
            }
            Ok(Err(Lost::Unprocessed(fault))) if fault.class == Class::RefusedStream => {
                tokio::time::sleep(AFTER_REFUSAL).await;
                crew.resend(job, fault).await
            }
            Ok(Err(Lost::Unprocessed(fault))) if fault.class == Class::GoAway || !is_new => {
                self.link.retire(&session);
                crew.resend(job, fault).await
            }
            Ok(Err(Lost::Unprocessed(fault) | Lost::Failed(fault))) => {
                if fault.class != Class::StreamReset {
                    self.link.retire(&session);
                }
                crew.fail(job, fault).await;
                None
            }
            Err(_) => {
                // Silent since: what comes next would wait in vain, too.
                if !session.heard_since(began) {
                    self.link.retire(&session);
                }
                job.failed(Fault::new(Class::Timeout, "no whole answer within the timeout"));
                None
            }
        }
    }

    async fn exchange(&mut self, session: &Rc<Session>, job: &mut Job) -> Result<(), Lost> {
        let (slot, waited) = session.slot().await;
        if waited {
            job.held_back();
        }
        let (head, body) = self.ready.get(self.crew.plan(), job.request).fill(&job.number);
        self.crew.expect(job.request, &mut self.reply);
        slot.exchange(head, body, &mut self.reply).await
    }
}
