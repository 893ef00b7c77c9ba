//! Signing keys.

use super::{Client, DbError};
use crate::auth::{
    keys::{NewKey, StoredKey},
    secret::NONCE_LEN,
};

/// Those that verify, the one that signs first.
pub async fn list(client: &Client) -> Result<Vec<StoredKey>, DbError> {
    let sql = "SELECT kid, public_key, nonce || ciphertext AS sealed FROM signing_keys
               WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
               ORDER BY retired_at IS NOT NULL, signs_from > now(), signs_from DESC";
    let rows = client.query(sql, &[]).await?;
    let key = |row: &tokio_postgres::Row| StoredKey {
        kid: row.get("kid"),
        public: row.get("public_key"),
        sealed: row.get("sealed"),
    };
    Ok(rows.iter().map(key).collect())
}

/// Stores the key unless there is one already; says whether it did. Two at once may store two: each works.
pub async fn insert_first(
    client: &impl std::ops::Deref<Target = tokio_postgres::Client>,
    key: &NewKey,
) -> Result<bool, DbError> {
    let (nonce, ciphertext) = key.sealed.split_at(NONCE_LEN);
    let rows = client
        .execute(
            "INSERT INTO signing_keys (kid, public_key, nonce, ciphertext, signs_from)
             SELECT $1, $2, $3, $4, now()
             WHERE NOT EXISTS (SELECT FROM signing_keys WHERE revoked_at IS NULL AND retired_at IS NULL)",
            &[&key.kid, &key.public, &nonce, &ciphertext],
        )
        .await?;
    Ok(rows == 1)
}
