//! Removes what nobody needs any more.

use super::{Client, DbError, audit};

/// Rows of one table at a time: a statement of milliseconds, that holds few locks.
const BATCH: i64 = 5_000;
/// Of `audit::purge`.
const AUDIT_BATCH: i64 = 10_000;

/// `$1` rows of the table that are over; in the order of the index, and without waiting for anybody.
macro_rules! purge {
    ($table:literal, $key:literal, $over:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ",
            $key,
            " IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $over,
            " LIMIT $1 FOR UPDATE SKIP LOCKED)"
        )
    };
}

const PURGES: [&str; 5] = [
    purge!("sessions", "id", "least(revoked_at, idle_expires_at) < now() - interval '7 days'"),
    purge!("invitations", "id", "least(used_at, expires_at) < now() - interval '30 days'"),
    purge!("revocations", "id", "expires_at < now()"),
    purge!("sign_in_limits", "bucket", "resets_at < now()"),
    purge!("api_keys", "id", "least(revoked_at, expires_at) < now() - interval '90 days'"),
];

/// Days after its end for which a signing key is still listed.
const SIGNING_KEYS_OVER: &str = "SELECT kid FROM signing_keys
     WHERE least(revoked_at, expires_at) < now() - interval '7 days'";

/// One batch of each; whether there may be more.
pub async fn run(client: &Client) -> Result<bool, DbError> {
    let mut more = false;
    for sql in PURGES {
        more |= client.execute(sql, &[&BATCH]).await? >= BATCH as u64;
    }
    more |= audit::purge(client).await? >= AUDIT_BATCH;
    // Looked for first: a statement that deletes none would all the same be news to every process.
    let over: Vec<String> =
        client.query(SIGNING_KEYS_OVER, &[]).await?.iter().map(|row| row.get(0)).collect();
    if !over.is_empty() {
        client.execute("DELETE FROM signing_keys WHERE kid = ANY ($1)", &[&over]).await?;
    }
    Ok(more)
}
