//! Brings the schema up to date: `app/migrations/*.sql`, in order, once each. What a step must look
//! like is written there, in README.md.

mod steps;

use std::time::{Duration, Instant};

use tokio_postgres::{
    Row,
    error::{ErrorPosition, SqlState},
};

use self::steps::statements;
pub use self::steps::{REQUIRED, STEPS, Step};
use super::{Client, DbError, Session};

/// Of the advisory lock that one runner holds per database: "roadstea" in ASCII.
const LOCK: i64 = 0x726f_6164_7374_6561;
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(
        "{0} was changed after it had been applied: restore it, and put the change into a new step"
    )]
    Changed(String),
    #[error(
        "{pending} is missing here, but the later {applied} is not: if it is new, number it higher"
    )]
    OutOfOrder { pending: &'static str, applied: i32 },
    #[error("{name}{}: {error}", line.map_or(String::new(), |line| format!(", line {line}")))]
    Failed { name: &'static str, line: Option<usize>, error: DbError },
    #[error(
        "{name}: a table that it needs was in use {tries} times: let long transactions end, then repeat"
    )]
    Locked { name: &'static str, tries: u32 },
    #[error(
        "the schema has gone past this program: it is for programs from step {readers_from} on, and this one is of \
         step {required}. A later release removed what it needs: use that one, or one after it"
    )]
    Past { readers_from: i32, required: i32 },
    #[error(
        "{name} takes away what the release that runs (of step {running}) needs: it is for programs from step \
         {readers_from} on. Deploy a release of that step first"
    )]
    Breaks { name: &'static str, readers_from: i32, running: i32 },
    #[error("{name} left the index {index} invalid: see README.md of the migrations")]
    InvalidIndex { name: &'static str, index: String },
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A statement that waits for a table's lock keeps everyone behind it waiting, readers too: so it
/// waits shortly, gives way, and comes again.
pub struct Patience {
    pub lock: Duration,
    pub pause: Duration,
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { lock: Duration::from_secs(1), pause: Duration::from_secs(2), tries: 60 }
    }
}

/// Applies what is missing, and returns how many steps that were. The session must reach the server
/// itself: a pooler that hands out connections per transaction loses the lock.
pub async fn run(
    session: &Session,
    steps: &[Step],
    patience: &Patience,
) -> Result<usize, MigrateError> {
    session
        .batch_execute(
            "SET statement_timeout = 0; SET lock_timeout = 0;
             SET idle_in_transaction_session_timeout = 0; SET client_min_messages = warning",
        )
        .await?;
    take_lock(session).await?;
    let done = apply_missing(session, steps, patience).await;
    // The end of the session releases it too.
    let _ = session.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    done
}

/// What `run` would apply, of the given steps; changes nothing. `running` is what the program that
/// serves meanwhile requires.
pub async fn check(
    session: &Session,
    steps: &'static [Step],
    running: Option<i32>,
) -> Result<Vec<&'static str>, MigrateError> {
    let missing = compare(session, steps).await?;
    for step in &missing {
        if let (Some(running), Some(readers_from)) = (running, step.readers_from())
            && running < readers_from
        {
            return Err(MigrateError::Breaks { name: step.name, readers_from, running });
        }
    }
    Ok(missing.into_iter().map(|step| step.name).collect())
}

/// What the database has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// 0 when it is empty.
    pub version: i32,
    /// Programs that require less than this cannot read it any more.
    pub readers_from: i32,
}

/// As JSON, since a database from before that column has none.
const APPLIED: &str = "SELECT coalesce(max(version), 0),
                              coalesce(max((to_jsonb(step) ->> 'readers_from')::integer), 0)
                       FROM schema_migrations step";

impl From<&Row> for Applied {
    fn from(row: &Row) -> Self {
        Self { version: row.get(0), readers_from: row.get(1) }
    }
}

pub async fn applied(client: &Client) -> Result<Applied, DbError> {
    match client.query_one(APPLIED, &[]).await {
        Ok(row) => Ok(Applied::from(&row)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Applied::default()),
        Err(error) => Err(error),
    }
}

/// Polled: a statement that waits for the lock would hold a snapshot, for whose end the other
/// runner's CREATE INDEX CONCURRENTLY waits in turn.
async fn take_lock(session: &Session) -> Result<(), MigrateError> {
    let mut tries = 0_u32;
    loop {
        if session.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.get(0) {
            return Ok(());
        }
        if tries.is_multiple_of(100) {
            tracing::info!("another migration is running in this database: waiting for its end");
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn apply_missing(
    session: &Session,
    steps: &[Step],
    patience: &Patience,
) -> Result<usize, MigrateError> {
    session
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                 version integer CONSTRAINT schema_migrations_pkey PRIMARY KEY,
                 name text NOT NULL,
                 checksum text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now(),
                 duration_ms integer NOT NULL
             );
             ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS readers_from integer",
        )
        .await?;
    let missing = compare(session, steps).await?;
    for step in &missing {
        let begun = Instant::now();
        if step.in_transaction() {
            apply_in_transaction(session, step, patience).await?;
        } else {
            apply_bare(session, step).await?;
        }
        tracing::info!(duration_ms = milliseconds(begun), "applied {}", step.name);
    }
    Ok(missing.len())
}

/// The steps still to be applied; refuses a history that is not ours, and one that has gone past us.
async fn compare<'a>(session: &Session, steps: &'a [Step]) -> Result<Vec<&'a Step>, MigrateError> {
    let required = steps.iter().map(|step| step.version).max().unwrap_or(0);
    let Applied { version, readers_from } = match session.query_one(APPLIED, &[]).await {
        Ok(row) => Applied::from(&row),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Applied::default(),
        Err(error) => return Err(error.into()),
    };
    if readers_from > required {
        return Err(MigrateError::Past { readers_from, required });
    }
    if version == 0 {
        return Ok(steps.iter().collect());
    }
    let rows = session.query("SELECT version, checksum FROM schema_migrations", &[]).await?;
    let applied: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let latest = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
    let mut missing = Vec::new();
    for step in steps {
        match applied.iter().find(|(version, _)| *version == step.version) {
            Some((_, checksum)) if *checksum != step.checksum() => {
                return Err(MigrateError::Changed(step.name.into()));
            }
            Some(_) => {}
            None if step.version < latest => {
                return Err(MigrateError::OutOfOrder { pending: step.name, applied: latest });
            }
            None => missing.push(step),
        }
    }
    Ok(missing)
}

async fn apply_in_transaction(
    session: &Session,
    step: &Step,
    patience: &Patience,
) -> Result<(), MigrateError> {
    for attempt in 1..=patience.tries {
        let done = transaction(session, step, patience).await;
        let Err(error) = done else {
            return Ok(());
        };
        let blocked = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
        if !error.code().is_some_and(|code| blocked.contains(code)) {
            return Err(failed(step, step.sql, error));
        }
        if attempt.is_multiple_of(5) {
            tracing::warn!("{} waits for a table that is in use", step.name);
        }
        tokio::time::sleep(patience.pause).await;
    }
    Err(MigrateError::Locked { name: step.name, tries: patience.tries })
}

async fn transaction(
    session: &Session,
    step: &Step,
    patience: &Patience,
) -> Result<(), tokio_postgres::Error> {
    let begun = Instant::now();
    let lock_ms = patience.lock.as_millis();
    session.batch_execute(&format!("BEGIN; SET LOCAL lock_timeout = {lock_ms}")).await?;
    let done = async {
        session.batch_execute(step.sql).await?;
        record(session, step, begun).await?;
        session.batch_execute("COMMIT").await
    }
    .await;
    if done.is_err() {
        // It fails only together with the connection, which rolls back as well.
        let _ = session.batch_execute("ROLLBACK").await;
    }
    done
}

/// No time limit for locks here: these statements wait for old transactions to end, and nobody
/// waits behind them.
async fn apply_bare(session: &Session, step: &Step) -> Result<(), MigrateError> {
    let begun = Instant::now();
    for statement in statements(step.sql) {
        session.batch_execute(&statement).await.map_err(|error| failed(step, &statement, error))?;
    }
    let invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid LIMIT 1";
    if let Some(row) = session.query_opt(invalid, &[]).await? {
        return Err(MigrateError::InvalidIndex { name: step.name, index: row.get(0) });
    }
    record(session, step, begun).await?;
    Ok(())
}

async fn record(
    session: &Session,
    step: &Step,
    begun: Instant,
) -> Result<u64, tokio_postgres::Error> {
    session
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum, duration_ms, readers_from)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                &step.version,
                &step.name,
                &step.checksum(),
                &milliseconds(begun),
                &step.readers_from(),
            ],
        )
        .await
}

fn milliseconds(begun: Instant) -> i32 {
    begun.elapsed().as_millis().try_into().unwrap_or(i32::MAX)
}

fn failed(step: &Step, sql: &str, error: tokio_postgres::Error) -> MigrateError {
    let line = match error.as_db_error().and_then(|db| db.position()) {
        Some(ErrorPosition::Original(character)) => {
            let before: String = sql.chars().take(*character as usize - 1).collect();
            let start = step.sql.find(sql).unwrap_or(0);
            Some(step.sql[..start].lines().count() + before.matches('\n').count() + 1)
        }
        _ => None,
    };
    MigrateError::Failed { name: step.name, line, error: error.into() }
}
