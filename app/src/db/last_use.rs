//! When sessions and API keys were last used: noted in memory, and written for all of them at once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Db, DbError};

#[derive(Default)]
pub struct LastUse(Mutex<HashMap<Uuid, i64>>);

impl LastUse {
    /// Seconds since 1970.
    pub fn note(&self, session: Uuid, now: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session, now);
    }

    /// What cannot be written is noted again by the next use.
    pub async fn write(&self, db: &Db) -> Result<(), DbError> {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two slots do not wait for each other's rows.
        let mut noted: Vec<(Uuid, i64)> = noted.into_iter().collect();
        noted.sort_unstable();
        let ids: Vec<Uuid> = noted.iter().map(|(id, _)| *id).collect();
        let times: Vec<OffsetDateTime> = noted
            .iter()
            .filter_map(|(_, time)| OffsetDateTime::from_unix_timestamp(*time).ok())
            .collect();
        let client = db.get().await?;
        for table in [SESSIONS, API_KEYS] {
            client.execute(table, &[&ids, &times]).await?;
        }
        Ok(())
    }
}

/// Locks the rows in the order of their ids, and passes over those that somebody else changes just now.
macro_rules! write {
    ($table:literal) => {
        concat!(
            "WITH noted AS (
                 SELECT row.id, at FROM unnest($1::uuid[], $2::timestamptz[]) AS noted (id, at)
                 JOIN ",
            $table,
            " AS row ON row.id = noted.id
                 ORDER BY row.id FOR NO KEY UPDATE OF row SKIP LOCKED
             )
             UPDATE ",
            $table,
            " AS row SET last_used_at = greatest(row.last_used_at, at)
             FROM noted WHERE row.id = noted.id"
        )
    };
}

const SESSIONS: &str = write!("sessions");
const API_KEYS: &str = write!("api_keys");
