//! Links that become an account, once.

use uuid::Uuid;

use super::{Client, DbError};

/// Minutes.
pub const LIFETIME: i32 = 30;

pub async fn insert(
    client: &Client,
    token_hash: &[u8],
    email: &str,
    admin: bool,
) -> Result<(), DbError> {
    client
        .execute(
            "INSERT INTO invitations (id, token_hash, email, admin, expires_at)
             VALUES ($1, $2, $3, $4, now() + make_interval(mins => $5))",
            &[&Uuid::now_v7(), &token_hash, &email, &admin, &LIFETIME],
        )
        .await?;
    Ok(())
}

pub async fn is_open(client: &Client, token_hash: &[u8], email: &str) -> Result<bool, DbError> {
    let sql = "SELECT FROM invitations
               WHERE token_hash = $1 AND email = $2 AND used_at IS NULL AND expires_at > now()";
    Ok(client.query_opt(sql, &[&token_hash, &email]).await?.is_some())
}

/// Whether it was for an administrator; `None` when it cannot be used (any more).
pub async fn use_up(
    client: &Client,
    token_hash: &[u8],
    email: &str,
) -> Result<Option<bool>, DbError> {
    let sql = "UPDATE invitations SET used_at = now()
               WHERE token_hash = $1 AND email = $2 AND used_at IS NULL AND expires_at > now()
               RETURNING admin";
    Ok(client.query_opt(sql, &[&token_hash, &email]).await?.map(|row| row.get(0)))
}
