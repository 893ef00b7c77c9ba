//! `roadstead migrate`: brings the schema up to date, as the owner of it
//! (ROADSTEAD_DATABASE__USER); with `--check`, says what that would mean.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use super::text;
use crate::{
    auth::{key_file::KeyFile, keys::NewKey},
    config::Settings,
    db::{
        Db, DbError, Session, keys,
        migrate::{self, MigrateError},
    },
};

/// Exit statuses of `--check`, beside 0 and 1: they tell a deploy why it must not go on.
const PAST: u8 = 3;
const OTHER_HISTORY: u8 = 4;
const BREAKS_WHAT_RUNS: u8 = 5;

/// A first start of PostgreSQL takes a few seconds; on a slow disk many.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(settings: &Settings) -> Result<(), String> {
    let db = Db::connect(&settings.database).map_err(text)?;
    let session = wait_for(&db, PATIENCE).await.map_err(text)?;
    let applied = migrate::run(&session, migrate::STEPS, &migrate::Patience::default())
        .await
        .map_err(text)?;
    match applied {
        0 => tracing::info!("the schema is up to date (version {})", migrate::REQUIRED),
        n => {
            tracing::info!("the schema is at version {} now, {n} steps applied", migrate::REQUIRED)
        }
    }
    let masters = KeyFile::master(settings).map_err(text)?.get();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let made = keys::insert_first(&db, &NewKey::generate(&masters, now)).await;
    if made.map_err(text)? {
        tracing::info!("the first signing key is made");
    }
    drop(session);
    db.close().await;
    Ok(())
}

/// Changes nothing. `running` is what the release that serves meanwhile requires.
pub async fn check(settings: &Settings, running: Option<i32>) -> Result<ExitCode, String> {
    let db = Db::connect(&settings.database).map_err(text)?;
    let session = wait_for(&db, Duration::from_secs(10)).await.map_err(text)?;
    let status = match migrate::check(&session, migrate::STEPS, running).await {
        Ok(pending) if pending.is_empty() => {
            println!("the schema is up to date (version {})", migrate::REQUIRED);
            return Ok(ExitCode::SUCCESS);
        }
        Ok(pending) => {
            println!("to be applied: {}", pending.join(", "));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            eprintln!("roadstead: {error}");
            match error {
                MigrateError::Past { .. } => PAST,
                MigrateError::Changed(_) | MigrateError::OutOfOrder { .. } => OTHER_HISTORY,
                MigrateError::Breaks { .. } => BREAKS_WHAT_RUNS,
                _ => 1,
            }
        }
    };
    Ok(ExitCode::from(status))
}

/// A wrong setting is an error at once; a database that is not there yet is waited for.
async fn wait_for(db: &Db, patience: Duration) -> Result<Session, DbError> {
    let begun = Instant::now();
    let mut said = false;
    loop {
        match db.session("migrate").await {
            Err(error @ DbError::Unavailable(_)) if begun.elapsed() < patience => {
                if !said {
                    tracing::info!("waiting up to {} s: {error}", patience.as_secs());
                    said = true;
                }
            }
            done => return done,
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
