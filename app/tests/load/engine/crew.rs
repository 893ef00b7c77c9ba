//! What the workers of one thread have in common.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::fault::{Class, Fault};
use super::http1::Connection;
use super::http2::Link;
use super::job::Job;
use super::pace::Source;
use super::plan::{Plan, Protocol};
use super::reply::Reply;
use super::shared::Shared;
use super::tally::Tally;

/// A request that the server did not process is sent anew at most so often.
const MOST_RESENDS: u8 = 3;
/// More handshakes at once would overflow a server's backlog.
const HANDSHAKES: usize = 64;

pub struct Crew {
    pub shared: Arc<Shared>,
    pub source: Source,
}

/// A connection opened before the clock starts, so that its handshake is not part of the first
/// request's latency. Where that fails, the first request finds out why.
pub enum Line {
    Http1(Option<Connection>),
    Http2(Rc<Link>),
}

impl Crew {
    pub fn new(tally: &Rc<Tally>) -> Self {
        Self { shared: tally.shared.clone(), source: Source::new(tally.clone()) }
    }

    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    pub async fn connect(self: &Rc<Self>, connections: usize) -> Vec<Line> {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        let mut opening = JoinSet::new();
        for _ in 0..connections {
            let (crew, handshakes) = (self.clone(), handshakes.clone());
            opening.spawn_local(async move {
                let _one = handshakes.acquire().await;
                crew.open_ahead().await
            });
        }
        opening.join_all().await
    }

    async fn open_ahead(&self) -> Line {
        let (deadline, target) = (Instant::now() + self.plan().timeout, &self.plan().target);
        match self.plan().protocol {
            Protocol::Http1Close => Line::Http1(None),
            Protocol::Http1 => Line::Http1(in_time(deadline, Connection::open(target)).await.ok()),
            Protocol::Http2 => {
                let link = Rc::new(Link::default());
                // Its error is seen again by the first request.
                let _ = in_time(deadline, link.session(target)).await;
                Line::Http2(link)
            }
        }
    }

    pub fn expect(&self, request: usize, reply: &mut Reply) {
        let whole_body = self.plan().requests[request].expect_body.is_some();
        reply.reset(whole_body, self.shared.ledger.is_some());
    }

    /// The server did not process it: back to be sent anew, or failed if it was so too often.
    pub async fn resend(&self, mut job: Job, fault: Fault) -> Option<Job> {
        if job.resends < MOST_RESENDS && !self.plan().strict {
            job.resend(fault.class);
            return Some(job);
        }
        self.fail(job, fault).await;
        None
    }

    pub async fn fail(&self, job: Job, fault: Fault) {
        job.failed(fault);
        match self.plan().pause {
            // Refused at once each time, a worker would never wait for anything, and so never let
            // the others run.
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
}

pub async fn in_time<T>(
    deadline: Instant,
    opening: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout_at(deadline.into(), opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Fault::new(Class::ConnectTimeout, "no connection within the timeout")),
    }
}
