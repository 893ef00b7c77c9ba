//! The feed of what makes tokens invalid before their time. Triggers write it (migration 0010).

use std::time::Duration;

use tokio_postgres::Statement;
use uuid::Uuid;

use super::{DbError, Session};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A session or an API key has ended.
    Session(Uuid),
    /// Tokens of this user with a lower version are dead.
    User(Uuid, i32),
    /// The set of signing keys has changed.
    Keys,
}

pub struct News {
    pub subject: Subject,
    /// How long it must be remembered: by a length, so that no clock but the database's matters.
    pub remaining: Duration,
}

/// A reader's place in the feed.
pub struct Feed {
    look: Statement,
    /// The oldest transaction that had not ended when we last looked: what it and later ones wrote, we may not have seen.
    from: String,
}

impl Feed {
    /// At the beginning.
    pub async fn open(session: &Session) -> Result<Self, DbError> {
        let look = session
            .prepare(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS next,
                    kind, session_id, user_id, version,
                    extract(epoch FROM greatest(expires_at - now(), '0'))::float8 AS remaining
                 FROM (SELECT) AS always LEFT JOIN revocations ON xid >= $1::text::xid8",
            )
            .await?;
        Ok(Self { look, from: "0".into() })
    }

    /// What is new; some of it may have come before.
    pub async fn next(&mut self, session: &Session) -> Result<Vec<News>, DbError> {
        let rows = session.query(&self.look, &[&self.from]).await?;
        let news = rows.iter().filter_map(|row| {
            let subject = match row.get::<_, Option<&str>>("kind")? {
                "session" => Subject::Session(row.get("session_id")),
                "user" => Subject::User(row.get("user_id"), row.get("version")),
                _ => Subject::Keys,
            };
            let remaining = Duration::from_secs_f64(row.get("remaining"));
            Some(News { subject, remaining })
        });
        let news = news.collect();
        if let Some(row) = rows.first() {
            self.from = row.get("next");
        }
        Ok(news)
    }
}
