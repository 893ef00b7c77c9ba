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
    /// What had been committed when we last looked: what others wrote, we have not seen.
    seen: String,
}

impl Feed {
    /// At the beginning.
    pub async fn open(session: &Session) -> Result<Self, DbError> {
        let look = session
            .prepare(
                "SELECT pg_current_snapshot()::text AS seen,
                    kind, session_id, user_id, version,
                    extract(epoch FROM greatest(expires_at - now(), '0'))::float8 AS remaining
                 FROM (SELECT) AS always LEFT JOIN revocations
                     -- The first for the index; alone it would, beside a long transaction, give everything again each time.
                     ON xid >= pg_snapshot_xmin($1::text::pg_snapshot)
                     AND NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)",
            )
            .await?;
        Ok(Self { look, seen: "1:1:".into() })
    }

    /// What is new.
    pub async fn next(&mut self, session: &Session) -> Result<Vec<News>, DbError> {
        let rows = session.query(&self.look, &[&self.seen]).await?;
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
            self.seen = row.get("seen");
        }
        Ok(news)
    }
}
