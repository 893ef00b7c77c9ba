//! What a process does beside requests, from time to time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    auth::rotation,
    db::{DbError, Transaction, jobs, purge},
    state::AppState,
};

const INTERVAL: Duration = Duration::from_secs(5);
/// Between two sayings that the same job still fails.
const SAY_AGAIN: Duration = Duration::from_secs(600);

/// Done by one process of all, see `db::jobs`; each says when it is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Job {
    Keys,
    Purge,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Purge => "purge",
        }
    }

    async fn work(self, state: &AppState, change: &Transaction) -> Result<Duration, DbError> {
        match self {
            Self::Keys => {
                let days = state.settings.auth.rotation_days;
                rotation::tend(change, &state.master.get(), days).await?;
                Ok(Duration::from_secs(60))
            }
            // What is left after a batch is for the next tick: no transaction is long.
            Self::Purge => match purge::run(change).await? {
                true => Ok(Duration::ZERO),
                false => Ok(Duration::from_secs(60 * 60)),
            },
        }
    }
}

pub async fn keep(state: &AppState) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = HashMap::new();
    loop {
        ticks.tick().await;
        if let Err(error) = state.last_use.write(&state.db).await {
            tracing::debug!("last uses are not written: {error}");
        }
        state.read_key_files();
        for job in [Job::Keys, Job::Purge] {
            match run(state, job).await {
                Ok(()) => {
                    said.remove(&job);
                }
                // Whoever asks the database hears of that.
                Err(error) if error.is_unavailable() => {
                    tracing::debug!("the job {} waits: {error}", job.name());
                }
                Err(error) => {
                    if said.get(&job).is_none_or(|said: &Instant| said.elapsed() > SAY_AGAIN) {
                        tracing::error!(
                            "the job {} fails, and is tried again: {error}",
                            job.name()
                        );
                        said.insert(job, Instant::now());
                    }
                }
            }
        }
    }
}

async fn run(state: &AppState, job: Job) -> Result<(), DbError> {
    let change = state.db.begin().await?;
    if jobs::take(&change, job.name()).await? {
        let next = job.work(state, &change).await?;
        jobs::done(&change, job.name(), next).await?;
        change.commit().await?;
    }
    Ok(())
}
