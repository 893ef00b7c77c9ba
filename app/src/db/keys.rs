//! Signing keys.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_postgres::Row;

use super::{Client, Db, DbError, Session, Transaction};
use crate::auth::{
    keys::{NewKey, StoredKey},
    secret::NONCE_LEN,
};

const LIST: &str = "SELECT kid, public_key, nonce || ciphertext AS sealed, master_kid,
         floor(extract(epoch FROM signs_from))::bigint AS signs_from,
         retired_at IS NOT NULL AS retired,
         ceil(extract(epoch FROM expires_at))::bigint AS expires_at
     FROM signing_keys
     WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
     ORDER BY signs_from DESC";

impl From<&Row> for StoredKey {
    fn from(row: &Row) -> Self {
        Self {
            kid: row.get("kid"),
            public: row.get("public_key"),
            sealed: row.get("sealed"),
            master_kid: row.get("master_kid"),
            signs_from: row.get("signs_from"),
            retired: row.get("retired"),
            expires_at: row.get("expires_at"),
        }
    }
}

/// A key's life, for people.
pub struct KeyRow {
    pub kid: String,
    pub signs_from: OffsetDateTime,
    pub retired_at: Option<OffsetDateTime>,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
}

/// Those that verify, the newest first.
pub async fn list(client: &Client) -> Result<Vec<StoredKey>, DbError> {
    Ok(client.query(LIST, &[]).await?.iter().map(Into::into).collect())
}

/// The same on a connection of one's own.
pub async fn list_by(session: &Session) -> Result<Vec<StoredKey>, DbError> {
    Ok(session.query(LIST, &[]).await?.iter().map(Into::into).collect())
}

/// All that there ever were and that are not purged, the newest first.
pub async fn list_all(client: &Client) -> Result<Vec<KeyRow>, DbError> {
    let sql = "SELECT kid, signs_from, retired_at, expires_at, revoked_at
               FROM signing_keys ORDER BY signs_from DESC, kid";
    let key = |row: &Row| KeyRow {
        kid: row.get("kid"),
        signs_from: row.get("signs_from"),
        retired_at: row.get("retired_at"),
        expires_at: row.get("expires_at"),
        revoked_at: row.get("revoked_at"),
    };
    Ok(client.query(sql, &[]).await?.iter().map(key).collect())
}

/// By the database's clock, in seconds since 1970.
pub async fn now(client: &Client) -> Result<i64, DbError> {
    let sql = "SELECT floor(extract(epoch FROM now()))::bigint";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Until the transaction ends, nobody else changes the keys; readers go on.
pub async fn lock(change: &Transaction) -> Result<(), DbError> {
    change.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE", &[]).await.map(drop)
}

/// Published at once, and signing after `delay`.
pub async fn insert(client: &Client, key: &NewKey, delay: Duration) -> Result<(), DbError> {
    let (nonce, ciphertext) = key.sealed.split_at(NONCE_LEN);
    let sql =
        "INSERT INTO signing_keys (kid, public_key, nonce, ciphertext, master_kid, signs_from)
               VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))";
    let delay = delay.as_secs_f64();
    client
        .execute(sql, &[&key.kid, &key.public, &nonce, &ciphertext, &key.master_kid, &delay])
        .await
        .map(drop)
}

/// Stores the key unless there is one already, also when two try at once; says whether it did.
pub async fn insert_first(db: &Db, key: &NewKey) -> Result<bool, DbError> {
    let change = db.begin().await?;
    lock(&change).await?;
    let sql = "SELECT FROM signing_keys WHERE revoked_at IS NULL AND retired_at IS NULL LIMIT 1";
    if change.query_opt(sql, &[]).await?.is_some() {
        return Ok(false);
    }
    insert(&change, key, Duration::ZERO).await?;
    change.commit().await?;
    Ok(true)
}

pub async fn set_signs_from(client: &Client, kid: &str, delay: Duration) -> Result<(), DbError> {
    // Its transaction may be a moment younger than ours.
    let sql = "UPDATE signing_keys SET signs_from = greatest(published_at, now() + make_interval(secs => $2))
               WHERE kid = $1";
    client.execute(sql, &[&kid, &delay.as_secs_f64()]).await.map(drop)
}

pub async fn set_sealed(
    client: &Client,
    kid: &str,
    sealed: &[u8],
    master_kid: &str,
) -> Result<(), DbError> {
    let (nonce, ciphertext) = sealed.split_at(NONCE_LEN);
    let sql = "UPDATE signing_keys SET nonce = $2, ciphertext = $3, master_kid = $4 WHERE kid = $1";
    client.execute(sql, &[&kid, &nonce, &ciphertext, &master_kid]).await.map(drop)
}

/// It signs no more, and verifies for `overlap` seconds.
pub async fn retire(client: &Client, kid: &str, overlap: i64) -> Result<(), DbError> {
    let sql =
        "UPDATE signing_keys SET retired_at = now(), expires_at = now() + make_interval(secs => $2)
               WHERE kid = $1";
    client.execute(sql, &[&kid, &(overlap as f64)]).await.map(drop)
}

pub async fn revoke(client: &Client, kid: &str) -> Result<(), DbError> {
    client
        .execute("UPDATE signing_keys SET revoked_at = now() WHERE kid = $1", &[&kid])
        .await
        .map(drop)
}

/// How many are still sealed under another master key than this one.
pub async fn count_under_others(client: &Client, master_kid: &str) -> Result<i64, DbError> {
    let sql = "SELECT count(*) FROM signing_keys
               WHERE revoked_at IS NULL AND retired_at IS NULL AND master_kid IS DISTINCT FROM $1";
    Ok(client.query_one(sql, &[&master_kid]).await?.get(0))
}
