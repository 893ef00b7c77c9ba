//! What happened to accounts, in the words of OWASP's logging vocabulary.

use std::net::IpAddr;

use uuid::Uuid;

use super::{Client, DbError};

pub async fn record(
    client: &Client,
    event: &str,
    user: Option<Uuid>,
    ip: Option<IpAddr>,
) -> Result<(), DbError> {
    client
        .execute(
            "INSERT INTO audit_events (event, user_id, ip) VALUES ($1, $2, $3)",
            &[&event, &user, &ip],
        )
        .await?;
    Ok(())
}
