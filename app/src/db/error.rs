//! What can go wrong with the database, as facts; what becomes of them in HTTP is `error.rs`'
//! business.

use std::{error::Error as _, io};

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A setting with which no connection can come about, now or later.
    #[error("{setting}: {problem}")]
    Setting { setting: &'static str, problem: String },
    /// The database cannot be reached, or is too busy: the same may work in a moment.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The database answered, and refuses the statement.
    #[error("the database refuses the statement: {}", words(.0))]
    Query(tokio_postgres::Error),
    #[error("a statement of the transaction failed before, so nothing was committed")]
    Aborted,
}

impl DbError {
    pub(super) fn setting(setting: &'static str, problem: impl ToString) -> Self {
        Self::Setting { setting, problem: problem.to_string() }
    }

    /// Nothing is wrong with the request itself: 503.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::Unavailable(_) => true,
            Self::Query(_) | Self::Aborted => false,
        }
    }

    /// The name of the constraint that the row violates (unique, check, foreign key): 409 or 400.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query(error) => error.as_db_error()?.constraint(),
            Self::Setting { .. } | Self::Unavailable(_) | Self::Aborted => None,
        }
    }

    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Query(error) => error.code(),
            Self::Setting { .. } | Self::Unavailable(_) | Self::Aborted => None,
        }
    }

    /// A connection that did not come about.
    pub(super) fn from_connect(error: &tokio_postgres::Error) -> Self {
        let text = words(error);
        match setting_to_blame(error) {
            Some(setting) => Self::setting(setting, text),
            None => Self::Unavailable(text),
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        let lost = match error.code() {
            Some(code) => will_pass(code),
            None => is_lost(&error),
        };
        if lost { Self::Unavailable(words(&error)) } else { Self::Query(error) }
    }
}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from_connect(&error),
            PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Whether the server may be there in a moment: it stops or starts, or its container does, and its
/// name is unknown meanwhile. No statement was sent, so the attempt may be repeated.
pub(super) fn may_pass(error: &PoolError) -> bool {
    let PoolError::Backend(error) = error else {
        return false;
    };
    match error.code() {
        Some(code) => code.code().starts_with("57P"),
        None => setting_to_blame(error).is_none() && is_lost(error),
    }
}

fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || io_cause(error).is_some()
}

/// SQLSTATEs that say something of the server's state or load, and nothing against the statement.
fn will_pass(code: &SqlState) -> bool {
    // 08 connection, 53 out of memory, disk or connections, 57P0x shutdown, crash, start
    let class = ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class));
    class
        || [
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

fn setting_to_blame(error: &tokio_postgres::Error) -> Option<&'static str> {
    if let Some(code) = error.code() {
        return match *code {
            SqlState::INVALID_PASSWORD => Some("ROADSTEAD_DATABASE__PASSWORD"),
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION | SqlState::INSUFFICIENT_PRIVILEGE => {
                Some("ROADSTEAD_DATABASE__USER")
            }
            SqlState::INVALID_CATALOG_NAME => Some("ROADSTEAD_DATABASE__NAME"),
            _ => None,
        };
    }
    let text = words(error);
    // tokio-postgres keeps the kind of an error to itself; its words are all there is.
    if io_cause(error).and_then(io::Error::get_ref).is_some_and(|e| e.is::<rustls::Error>()) {
        Some("ROADSTEAD_DATABASE__CA_FILE")
    } else if text.contains("password missing") {
        Some("ROADSTEAD_DATABASE__PASSWORD")
    } else if text.contains("server does not support TLS") || text.contains("channel binding") {
        Some("ROADSTEAD_DATABASE__HOST")
    } else {
        None
    }
}

fn io_cause(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

/// The error with its cause, without DETAIL: that quotes the row.
fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
