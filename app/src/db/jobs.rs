//! What is done from time to time, by one process of all.

use std::time::Duration;

use super::{DbError, Transaction};

/// Whether it is due, and ours: the row's lock is the claim. It ends with the transaction, so whatever becomes of this
/// process, the job stays due until it is done.
pub async fn take(change: &Transaction, name: &str) -> Result<bool, DbError> {
    let sql = "SELECT FROM jobs WHERE name = $1 AND due_at <= now() FOR UPDATE SKIP LOCKED";
    Ok(change.query_opt(sql, &[&name]).await?.is_some())
}

pub async fn done(change: &Transaction, name: &str, next: Duration) -> Result<(), DbError> {
    let sql = "UPDATE jobs SET done_at = now(), due_at = now() + make_interval(secs => $2) WHERE name = $1";
    change.execute(sql, &[&name, &next.as_secs_f64()]).await.map(drop)
}
