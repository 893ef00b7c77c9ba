//! Buckets that tries are counted in, for all slots; what they are, `auth::limits` says.

use uuid::Uuid;

use super::{Client, DbError};
use crate::auth::caller::Caller;

/// So many tries in so many seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    pub limit: i32,
    pub seconds: i32,
    /// Beyond its limit it slows down, and never closes.
    pub slow: bool,
}

/// Whose tries they are, for the audit log.
#[derive(Clone, Copy)]
pub struct Whose<'a> {
    pub email: Option<&'a str>,
    pub session: Option<Uuid>,
}

/// Counts one try in all of these, or in none and says after how many seconds to come again. The first refusal of a
/// window goes into the audit log.
pub async fn count(
    client: &Client,
    buckets: &[Bucket],
    whose: Whose<'_>,
    caller: &Caller,
) -> Result<Option<u64>, DbError> {
    let names: Vec<&str> = buckets.iter().map(|bucket| &*bucket.name).collect();
    let limits: Vec<i32> = buckets.iter().map(|bucket| bucket.limit).collect();
    let seconds: Vec<i32> = buckets.iter().map(|bucket| bucket.seconds).collect();
    let slow: Vec<bool> = buckets.iter().map(|bucket| bucket.slow).collect();
    let refused = client
        .query_opt(
            "WITH refused AS MATERIALIZED (
                 SELECT * FROM count_attempt($1, $2, $3, $4)
             ), noted AS (
                 INSERT INTO audit_events (event, user_id, session_id, ip, request_id, details)
                 SELECT 'excess_rate_limit_exceeded', u.id, $6, $7, $8,
                     jsonb_build_object('limit', split_part(refused_by, ':', 1), 'retry_after', retry_after)
                 FROM refused
                 LEFT JOIN users u ON u.email = $5 OR u.id = (SELECT user_id FROM sessions WHERE id = $6)
                 WHERE is_first
             )
             SELECT retry_after FROM refused",
            &[
                &names,
                &limits,
                &seconds,
                &slow,
                &whose.email,
                &whose.session,
                &caller.ip,
                &caller.request_id,
            ],
        )
        .await?;
    Ok(refused.map(|row| row.get::<_, i32>(0).unsigned_abs().into()))
}

/// What was no failure takes nothing from a bucket of failures.
pub async fn give_back(client: &Client, name: &str) -> Result<(), DbError> {
    let sql = "UPDATE sign_in_limits SET attempts = attempts - 1
               WHERE bucket = $1 AND attempts > 0 AND resets_at > now()";
    client.execute(sql, &[&name]).await?;
    Ok(())
}
