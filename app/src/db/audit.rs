//! What happened to accounts, in the words of OWASP's logging vocabulary. Rows are only ever added; `purge` takes those
//! of over 90 days.

use serde_json::Value;
use uuid::Uuid;

use super::{Client, DbError};
use crate::auth::caller::Caller;

/// `event` is a word such as `authn_token_revoked`; `details` holds no secret.
#[derive(Default)]
pub struct Event {
    pub event: &'static str,
    /// Whom it happened to.
    pub user: Option<Uuid>,
    pub session: Option<Uuid>,
    pub details: Value,
}

impl Event {
    pub fn of(event: &'static str, user: Uuid) -> Self {
        Self { event, user: Some(user), ..Self::default() }
    }

    pub fn session(self, session: Uuid) -> Self {
        Self { session: Some(session), ..self }
    }

    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

pub async fn record(client: &Client, caller: &Caller, event: Event) -> Result<(), DbError> {
    let details =
        if event.details.is_null() { Value::Object(Default::default()) } else { event.details };
    client
        .execute(
            "INSERT INTO audit_events (event, user_id, session_id, request_id, ip, details)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&event.event, &event.user, &event.session, &caller.request_id, &caller.ip, &details],
        )
        .await?;
    Ok(())
}

/// Those whose time is over, 10,000 at the most; says how many.
pub async fn purge(client: &Client) -> Result<i64, DbError> {
    Ok(client.query_one("SELECT purge_audit_events()", &[]).await?.get(0))
}
