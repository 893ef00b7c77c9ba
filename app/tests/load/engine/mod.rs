//! The engine: sends what a [`Plan`] says, and accounts for every request exactly once.
//!
//! Rust tests can take it in as a module, and call [`run`] on a thread of its own (it blocks):
//!
//! ```ignore
//! #[path = "../load/engine/mod.rs"]
//! #[expect(dead_code, unused_imports, reason = "the load client's own binary uses the rest")]
//! mod load;
//! ```

mod bearer;
mod connect;
mod crew;
mod fault;
mod http1;
mod http2;
mod job;
mod ledger;
mod pace;
mod plan;
mod reply;
mod report;
mod shared;
mod tally;
mod text;
mod wire;

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

pub use bearer::Bearer;
pub use connect::{Route, SYSTEM_CA, Target};
pub use ledger::COLUMNS;
pub use plan::{Header, Plan, Protocol, Request};
pub use report::Report;
pub use shared::{Level, Stop};
pub use text::{Number, Text};

use crew::{Crew, Line};
use shared::{Clock, Shared};
use tally::{Counts, Tally};

/// How long an ended run waits for the answers to what it sent.
const GRACE: Duration = Duration::from_secs(5);

/// How far a run is.
pub struct Progress {
    pub seconds: f64,
    pub ok: u64,
    pub failed: u64,
}

/// Carries out the plan to its end, or until `stop`; `progress` is called each second.
pub fn run(plan: Plan, stop: &Stop, mut progress: impl FnMut(Progress)) -> io::Result<Report> {
    let shared = Arc::new(Shared::new(plan, stop.clone())?);
    let threads = shared.plan.threads;
    let barrier = Arc::new(Barrier::new(threads));
    let (done, results) = channel();
    for index in 0..threads {
        let (shared, barrier, done) = (shared.clone(), barrier.clone(), done.clone());
        thread::spawn(move || drop(done.send(run_thread(&shared, &barrier, index))));
    }
    drop(done);
    let (mut total, mut heard): (Option<Counts>, usize) = (None, 0);
    loop {
        match results.recv_timeout(Duration::from_secs(1)) {
            Ok(counts) => {
                heard += 1;
                match &mut total {
                    Some(total) => total.add(counts?),
                    None => total = Some(counts?),
                }
            }
            Err(RecvTimeoutError::Timeout) => each_second(&shared, &mut progress),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some(ledger) = &shared.ledger {
        ledger.close()?;
    }
    match total {
        Some(counts) if heard == threads => Ok(Report::new(&shared, &counts)),
        _ => Err(io::Error::other("a thread of the load client panicked")),
    }
}

fn each_second(shared: &Shared, progress: &mut impl FnMut(Progress)) {
    if let Some(bearer) = &shared.plan.bearer {
        // Being written at this moment; the next second sees it whole.
        let _ = bearer.reload();
    }
    if let Some(clock) = shared.clock.get() {
        let seconds = clock.start.elapsed().as_secs_f64();
        progress(Progress {
            seconds,
            ok: shared.ok.load(Relaxed),
            failed: shared.failed.load(Relaxed),
        });
    }
}

fn run_thread(shared: &Arc<Shared>, barrier: &Barrier, index: usize) -> io::Result<Counts> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = Rc::new(Tally::new(shared.clone()));
    let crew = Rc::new(Crew::new(&tally));
    let local = LocalSet::new();
    let sent = local.block_on(&runtime, async {
        let connections = share(shared.plan.connections, shared.plan.threads, index);
        let lines = tokio::select! {
            lines = crew.connect(connections) => lines,
            () = shared.stop.reached(Level::Finish) => Vec::new(),
        };
        // Blocks the thread, on which nothing is to be done until all are connected.
        barrier.wait();
        shared.clock.get_or_init(|| Clock::start(shared.plan.seconds));
        barrier.wait();
        send(&crew, lines, index).await
    });
    // Whatever is still under way is dropped, and so recorded.
    drop((local, crew));
    drop(runtime);
    sent?;
    Ok(Rc::into_inner(tally).expect("all that held it is dropped").finish())
}

fn share(total: usize, threads: usize, index: usize) -> usize {
    total / threads + usize::from(index < total % threads)
}

async fn send(crew: &Rc<Crew>, lines: Vec<Line>, thread: usize) -> io::Result<()> {
    let plan = crew.plan();
    let mut workers = JoinSet::new();
    for (nth, line) in lines.into_iter().enumerate() {
        let number = nth * plan.threads + thread;
        match line {
            Line::Http1(line) => {
                drop(workers.spawn_local(http1::Worker::new(crew.clone(), number, line).run()))
            }
            Line::Http2(link) => {
                for stream in 0..plan.streams {
                    let number = number * plan.streams + stream;
                    workers
                        .spawn_local(http2::Worker::new(crew.clone(), number, link.clone()).run());
                }
            }
        }
    }
    let dispatcher = {
        let crew = crew.clone();
        tokio::task::spawn_local(async move { crew.source.dispatch(thread).await })
    };
    let stop = &crew.shared.stop;
    tokio::select! {
        () = all(&mut workers) => {}
        () = stop.reached(Level::Finish) => {
            crew.source.stop();
            tokio::select! {
                () = all(&mut workers) => {}
                () = stop.reached(Level::Abort) => {}
                () = tokio::time::sleep(GRACE) => {}
            }
        }
    }
    if dispatcher.is_finished() { dispatcher.await? } else { Ok(()) }
}

async fn all(workers: &mut JoinSet<()>) {
    while let Some(ended) = workers.join_next().await {
        // A bug of ours must not look like a result.
        ended.expect("a worker ended by itself");
    }
}
