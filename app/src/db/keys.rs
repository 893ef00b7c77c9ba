//! Signing keys.

use tokio_postgres::Row;

use super::{Client, Db, DbError, Session};
use crate::auth::{
    keys::{NewKey, StoredKey},
    secret::NONCE_LEN,
};

const LIST: &str = "SELECT kid, public_key, nonce || ciphertext AS sealed FROM signing_keys
     WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
     ORDER BY retired_at IS NOT NULL, signs_from > now(), signs_from DESC";

impl From<&Row> for StoredKey {
    fn from(row: &Row) -> Self {
        Self { kid: row.get("kid"), public: row.get("public_key"), sealed: row.get("sealed") }
    }
}

/// Those that verify, the one that signs first.
pub async fn list(client: &Client) -> Result<Vec<StoredKey>, DbError> {
    Ok(client.query(LIST, &[]).await?.iter().map(Into::into).collect())
}

/// The same on a connection of one's own.
pub async fn list_by(session: &Session) -> Result<Vec<StoredKey>, DbError> {
    Ok(session.query(LIST, &[]).await?.iter().map(Into::into).collect())
}

/// Stores the key unless there is one already, also when two try at once; says whether it did.
pub async fn insert_first(db: &Db, key: &NewKey) -> Result<bool, DbError> {
    let (nonce, ciphertext) = key.sealed.split_at(NONCE_LEN);
    let change = db.begin().await?;
    change.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    let rows = change
        .execute(
            "INSERT INTO signing_keys (kid, public_key, nonce, ciphertext, signs_from)
             SELECT $1, $2, $3, $4, now()
             WHERE NOT EXISTS (SELECT FROM signing_keys WHERE revoked_at IS NULL AND retired_at IS NULL)",
            &[&key.kid, &key.public, &nonce, &ciphertext],
        )
        .await?;
    change.commit().await?;
    Ok(rows == 1)
}
