//! Sessions, one row each.

use std::net::IpAddr;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Client, DbError, users::UserRow};
use crate::{
    auth::{
        caller::Caller,
        refresh::RefreshToken,
        session::{ABSOLUTE_DAYS, IDLE_DAYS, Kind},
    },
    error::TokenError,
};

pub struct SessionRow {
    pub id: Uuid,
    pub created_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

/// What became of a refresh token.
pub enum Advanced {
    To {
        generation: i32,
        user: UserRow,
        signed_in_at: OffsetDateTime,
    },
    /// It was used before, by somebody else or in bad order: the session is ended.
    Reused {
        user: Uuid,
    },
    /// There is no such session any more.
    No,
}

/// The new session's first refresh token.
pub async fn insert(
    client: &Client,
    user: Uuid,
    kind: Kind,
    caller: &Caller,
) -> Result<RefreshToken, DbError> {
    let session = Uuid::now_v7();
    let row = client
        .query_one(
            "INSERT INTO sessions (id, user_id, kind, ip, user_agent, idle_expires_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, now() + make_interval(days => $6), now() + make_interval(days => $7))
             RETURNING generation",
            &[
                &session,
                &user,
                &kind.word(),
                &caller.ip,
                &caller.user_agent,
                &IDLE_DAYS,
                &ABSOLUTE_DAYS,
            ],
        )
        .await?;
    Ok(RefreshToken { session, generation: row.get(0) })
}

/// One statement consumes the token, repeats its successor (within ten seconds, and only while that
/// one is unused), or ends the session and notes that; many at once queue at the row, and a client
/// that hangs up changes nothing.
pub async fn advance(
    client: &Client,
    token: RefreshToken,
    kind: Kind,
    caller: &Caller,
) -> Result<Advanced, DbError> {
    let row = client
        .query_opt(
            "WITH advanced AS (
                 UPDATE sessions s SET
                     generation = s.generation + (s.generation = $2)::int,
                     rotated_at = CASE WHEN s.generation = $2 THEN now() ELSE s.rotated_at END,
                     idle_expires_at = least(s.expires_at, now() + make_interval(days => $6)),
                     (revoked_at, revoked_reason) = (
                         SELECT now(), 'reuse' WHERE NOT (
                             s.generation = $2
                             OR s.generation = $2 + 1 AND s.rotated_at > now() - interval '10 seconds'
                         )
                     ),
                     ip = $4,
                     user_agent = $5
                 FROM users u
                 WHERE s.id = $1 AND s.kind = $3 AND s.revoked_at IS NULL AND s.idle_expires_at > now()
                     AND u.id = s.user_id AND u.disabled_at IS NULL
                 RETURNING u.id, u.email, u.password_hash, u.admin, u.version, u.disabled_at, u.created_at,
                     s.generation, s.auth_time, s.revoked_at IS NOT NULL AS reused
             ), noted AS (
                 INSERT INTO audit_events (event, user_id, session_id, ip, request_id)
                 SELECT 'authn_token_reuse', id, $1, $4, $7 FROM advanced WHERE reused
             )
             SELECT * FROM advanced",
            &[
                &token.session,
                &token.generation,
                &kind.word(),
                &caller.ip,
                &caller.user_agent,
                &IDLE_DAYS,
                &caller.request_id,
            ],
        )
        .await?;
    Ok(match row {
        None => Advanced::No,
        Some(row) if row.get("reused") => Advanced::Reused { user: row.get("id") },
        Some(row) => Advanced::To {
            generation: row.get("generation"),
            user: UserRow::from(&row),
            signed_in_at: row.get("auth_time"),
        },
    })
}

/// What `advance` would find, without its ten seconds for a token that was just used.
pub async fn standing(
    client: &Client,
    token: RefreshToken,
    kind: Kind,
) -> Result<Result<(), TokenError>, DbError> {
    let sql = "SELECT s.kind = $2 AS same_kind, s.idle_expires_at > now() AS lives,
                   s.revoked_at IS NULL AND u.disabled_at IS NULL AND s.generation = $3 AS good
               FROM sessions s JOIN users u ON u.id = s.user_id
               WHERE s.id = $1";
    let row = client.query_opt(sql, &[&token.session, &kind.word(), &token.generation]).await?;
    Ok(match row {
        Some(row) if !row.get::<_, bool>("same_kind") => Err(TokenError::Invalid),
        Some(row) if !row.get::<_, bool>("good") => Err(TokenError::Revoked),
        Some(row) if row.get("lives") => Ok(()),
        // Or so old that it is not kept any more.
        _ => Err(TokenError::Expired),
    })
}

/// The living ones of a user, newest first.
pub async fn list(client: &Client, user: Uuid) -> Result<Vec<SessionRow>, DbError> {
    let sql =
        "SELECT id, created_at, greatest(rotated_at, last_used_at) AS last_used_at, ip, user_agent
               FROM sessions
               WHERE user_id = $1 AND revoked_at IS NULL AND idle_expires_at > now()
               ORDER BY created_at DESC, id DESC";
    let rows = client.query(sql, &[&user]).await?;
    let session = |row: &tokio_postgres::Row| SessionRow {
        id: row.get("id"),
        created_at: row.get("created_at"),
        last_used_at: row.get("last_used_at"),
        ip: row.get("ip"),
        user_agent: row.get("user_agent"),
    };
    Ok(rows.iter().map(session).collect())
}

/// Whose it was; `None` when there is no such session any more.
pub async fn end(client: &Client, session: Uuid) -> Result<Option<Uuid>, DbError> {
    let sql = "UPDATE sessions SET revoked_at = now(), revoked_reason = 'signed_out'
               WHERE id = $1 AND revoked_at IS NULL RETURNING user_id";
    Ok(client.query_opt(sql, &[&session]).await?.map(|row| row.get(0)))
}

/// One of the user's; false when it is not there.
pub async fn end_of(
    client: &Client,
    user: Uuid,
    session: Uuid,
    reason: &str,
) -> Result<bool, DbError> {
    let sql = "UPDATE sessions SET revoked_at = now(), revoked_reason = $3
               WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND idle_expires_at > now()";
    Ok(client.execute(sql, &[&session, &user, &reason]).await? == 1)
}

/// All of the user's but one, if that is named; says how many. Call `users::lock` before: two of these at once would wait
/// for each other's rows.
pub async fn end_all(
    client: &Client,
    user: Uuid,
    but: Option<Uuid>,
    reason: &str,
) -> Result<u64, DbError> {
    let sql = "UPDATE sessions SET revoked_at = now(), revoked_reason = $3
               WHERE user_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL";
    client.execute(sql, &[&user, &but, &reason]).await
}

/// Of which kind it is; `None` when it has ended. For a decision, call `users::lock` before.
pub async fn kind(client: &Client, session: Uuid) -> Result<Option<Kind>, DbError> {
    let sql = "SELECT kind FROM sessions
               WHERE id = $1 AND revoked_at IS NULL AND idle_expires_at > now()";
    let row = client.query_opt(sql, &[&session]).await?;
    Ok(row.map(|row| Kind::of_word(row.get("kind"))))
}
