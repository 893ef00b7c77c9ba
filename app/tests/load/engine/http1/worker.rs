//! Sends one request after the other over one HTTP/1.1 connection, and its successors.

use std::rc::Rc;

use hyper::Method;
use tokio::time::timeout_at;

use super::super::crew::{Crew, in_time};
use super::super::fault::{Class, Fault, Lost};
use super::super::job::Job;
use super::super::plan::Protocol;
use super::super::reply::Reply;
use super::super::wire::{Bytes1, Ready};
use super::Connection;

pub struct Worker {
    crew: Rc<Crew>,
    ready: Ready<Bytes1>,
    reply: Reply,
    line: Option<Connection>,
}

impl Worker {
    pub fn new(crew: Rc<Crew>, number: usize, line: Option<Connection>) -> Self {
        Self { crew, ready: Ready::new(number), reply: Reply::default(), line }
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
    async fn attempt(&mut self, job: Job) -> Option<Job> {
        let (crew, plan, was_idle) = (&self.crew, self.crew.plan(), self.line.is_some());
        let mut connection = match self.line.take() {
            Some(connection) => connection,
            None => match in_time(job.deadline(), Connection::open(&plan.target)).await {
                Ok(connection) => connection,
                Err(fault) => {
                    crew.fail(job, fault).await;
                    return None;
                }
            },
        };
        let request = self.ready.get(plan, job.request).fill(&job.number);
        let is_head = plan.requests[job.request].method == Method::HEAD;
        crew.expect(job.request, &mut self.reply);
        let exchange = connection.exchange(request, is_head, &mut self.reply);
        match timeout_at(job.deadline().into(), exchange).await {
            Ok(Ok(keep_alive)) => {
                job.answered(&self.reply);
                self.line = (keep_alive && plan.protocol == Protocol::Http1).then_some(connection);
            }
            Ok(Err(Lost::Unprocessed(fault))) if was_idle => return crew.resend(job, fault).await,
            Ok(Err(Lost::Unprocessed(mut fault) | Lost::Failed(mut fault))) => {
                if was_idle && fault.class == Class::NoReply {
                    fault.class = Class::NoReplyReused;
                }
                crew.fail(job, fault).await;
            }
            Err(_) => job.failed(Fault::new(Class::Timeout, "no whole answer within the timeout")),
        }
        None
    }
}
