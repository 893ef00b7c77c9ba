//! API keys.

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Client, DbError};

/// A good key, with what its owner may do.
pub struct GoodKey {
    pub id: Uuid,
    pub user: Uuid,
    pub version: i32,
    pub admin: bool,
    pub scope: String,
    /// Whole seconds; five minutes at the most.
    pub remaining: i64,
}

pub struct ApiKeyRow {
    pub id: Uuid,
    pub name: String,
    pub scope: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

impl From<&Row> for ApiKeyRow {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            scope: row.get("scope"),
            created_at: row.get("created_at"),
            expires_at: row.get("expires_at"),
            last_used_at: row.get("last_used_at"),
        }
    }
}

pub async fn find(client: &Client, digest: &[u8]) -> Result<Option<GoodKey>, DbError> {
    let sql = "SELECT k.id, k.user_id, k.scope, u.version, u.admin,
                   floor(extract(epoch FROM least(k.expires_at - now(), '5 minutes')))::int8 AS remaining
               FROM api_keys k JOIN users u ON u.id = k.user_id
               WHERE k.secret_hash = $1 AND k.revoked_at IS NULL AND k.expires_at > now()
                   AND u.disabled_at IS NULL";
    let row = client.query_opt(sql, &[&digest]).await?;
    Ok(row.map(|row| GoodKey {
        id: row.get("id"),
        user: row.get("user_id"),
        version: row.get("version"),
        admin: row.get("admin"),
        scope: row.get("scope"),
        remaining: row.get("remaining"),
    }))
}

/// The living ones of a user, newest first.
pub async fn list(client: &Client, user: Uuid) -> Result<Vec<ApiKeyRow>, DbError> {
    let sql = "SELECT id, name, scope, created_at, expires_at, last_used_at FROM api_keys
               WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
               ORDER BY created_at DESC, id DESC";
    Ok(client.query(sql, &[&user]).await?.iter().map(Into::into).collect())
}

/// How many living ones the user has. For a limit, call `users::lock` before.
pub async fn count(client: &Client, user: Uuid) -> Result<i64, DbError> {
    let sql = "SELECT count(*) FROM api_keys
               WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()";
    Ok(client.query_one(sql, &[&user]).await?.get(0))
}

pub async fn insert(
    client: &Client,
    user: Uuid,
    name: &str,
    digest: &[u8],
    scope: &str,
    days: i32,
) -> Result<ApiKeyRow, DbError> {
    let sql = "INSERT INTO api_keys (id, user_id, name, secret_hash, scope, expires_at)
               VALUES ($1, $2, $3, $4, $5, now() + make_interval(days => $6))
               RETURNING id, name, scope, created_at, expires_at, last_used_at";
    let row =
        client.query_one(sql, &[&Uuid::now_v7(), &user, &name, &digest, &scope, &days]).await?;
    Ok(ApiKeyRow::from(&row))
}

/// Its name; `None` when the user has no such living key.
pub async fn revoke(client: &Client, user: Uuid, id: Uuid) -> Result<Option<String>, DbError> {
    let sql = "UPDATE api_keys SET revoked_at = now()
               WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()
               RETURNING name";
    Ok(client.query_opt(sql, &[&id, &user]).await?.map(|row| row.get(0)))
}
