//! API keys.

use uuid::Uuid;

use super::{Client, DbError};

/// A good key, with what its owner may do.
pub struct GoodKey {
    pub id: Uuid,
    pub user: Uuid,
    pub version: i32,
    pub admin: bool,
    pub scope: String,
    /// Seconds; five minutes at the most.
    pub remaining: i64,
}

pub async fn find(client: &Client, digest: &[u8]) -> Result<Option<GoodKey>, DbError> {
    let sql = "SELECT k.id, k.user_id, k.scope, u.version, u.admin,
                   extract(epoch FROM least(k.expires_at - now(), '5 minutes'))::int8 AS remaining
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
