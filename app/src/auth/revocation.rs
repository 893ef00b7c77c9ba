//! What has ended before its time: a small map in each process, kept up to date by the feed in the database. So a
//! request costs no query, and yet a sign-out holds on every worker of every slot in well under a second.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    db::{DbError, Session, feed, keys},
    error::{ApiError, TokenError},
    state::AppState,
};

/// Between two looks at the feed.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// So long without news, and no token is believed any more: one of them may have been revoked meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// For one look; a connection that hangs is given up.
const LOOK: Duration = Duration::from_secs(2);
/// For the first one, which reads all that there is: the others would begin it again and again, and believe nobody.
const FIRST_LOOK: Duration = Duration::from_secs(15);
/// How long a request that revokes waits until that holds here.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Between two sweeps of what is no longer needed.
const SWEEP: Duration = Duration::from_secs(60);

struct Until<T> {
    what: T,
    forget: Instant,
}

#[derive(Default)]
struct Ended {
    /// Sessions and API keys.
    sessions: HashMap<Uuid, Until<()>>,
    /// Users, and the version below which their tokens are dead.
    users: HashMap<Uuid, Until<i32>>,
}

pub struct Control {
    ended: RwLock<Ended>,
    /// Goes up whenever something was added.
    epoch: AtomicU64,
    started: Instant,
    /// When the last look that succeeded began, in milliseconds since `started`.
    heard: AtomicU64,
    /// Numbers of the looks: the last one begun, the last one done.
    begun: AtomicU64,
    done: watch::Sender<u64>,
    poke: Notify,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            ended: RwLock::default(),
            epoch: AtomicU64::new(0),
            started: Instant::now(),
            heard: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            done: watch::Sender::new(0),
            poke: Notify::new(),
        }
    }
}

impl Control {
    /// What is known so far has this number. An error when it is too old to believe anybody.
    pub fn epoch(&self) -> Result<u64, ApiError> {
        match self.lag() <= PATIENCE {
            true => Ok(self.epoch.load(Ordering::Acquire)),
            false => Err(ApiError::Unavailable(
                format!("no news of revocations for {} s", self.lag().as_secs()).into(),
            )),
        }
    }

    /// How old the newest news is.
    pub fn lag(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Acquire));
        self.started.elapsed().saturating_sub(heard)
    }

    /// How many sessions and users it knows.
    pub fn len(&self) -> usize {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.sessions.len() + ended.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn judge(&self, user: Uuid, session: Uuid, version: i32) -> Result<(), TokenError> {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        let dead = ended.sessions.contains_key(&session)
            || ended.users.get(&user).is_some_and(|least| version < least.what);
        if dead { Err(TokenError::Revoked) } else { Ok(()) }
    }

    /// Waits until what was committed before now holds in this process; the others learn it by themselves.
    pub async fn caught_up(&self) {
        let next = self.begun.load(Ordering::Acquire) + 1;
        let mut done = self.done.subscribe();
        self.poke.notify_one();
        // Should the database hang just now, the feed's own patience decides.
        let _ = timeout(CATCH_UP, done.wait_for(|done| *done >= next)).await;
    }

    /// Waits for the first news.
    pub async fn first(&self) {
        let _ = self.done.subscribe().wait_for(|done| *done > 0).await;
    }

    pub(super) fn add(&self, news: &[feed::News]) {
        let now = Instant::now();
        let mut fresh = false;
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        for news in news {
            let forget = now + news.remaining;
            match news.subject {
                feed::Subject::Session(id) => {
                    fresh |= ended.sessions.insert(id, Until { what: (), forget }).is_none();
                }
                feed::Subject::User(id, version) => {
                    let least = ended.users.entry(id).or_insert(Until { what: 0, forget });
                    fresh |= least.what < version;
                    least.what = least.what.max(version);
                    least.forget = least.forget.max(forget);
                }
                feed::Subject::Keys => {}
            }
        }
        drop(ended);
        if fresh {
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.sessions.retain(|_, until| until.forget > now);
        ended.users.retain(|_, until| until.forget > now);
    }
}

/// Follows the feed for as long as the process lives.
pub async fn follow(state: &AppState) {
    let mut said = false;
    loop {
        let error = match state.db.session("feed").await {
            Ok(session) => match listen(state, &session, &mut said).await {
                Ok(never) => match never {},
                Err(error) => error,
            },
            Err(error) => error,
        };
        if !said {
            tracing::warn!(
                "the feed of revocations is interrupted; after {} s no token is believed: {error}",
                PATIENCE.as_secs()
            );
            said = true;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// On a connection of its own, from the feed's beginning: what was missed while it was away is in it.
async fn listen(
    state: &AppState,
    session: &Session,
    said: &mut bool,
) -> Result<std::convert::Infallible, DbError> {
    let control = &state.control;
    let mut feed = within(LOOK, feed::Feed::open(session)).await?;
    // Its rows of keys go after a while: who was away for longer than that has missed some.
    within(LOOK, take_keys(state, session)).await?;
    let mut patience = FIRST_LOOK;
    let mut swept = Instant::now();
    loop {
        let number = control.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let began = control.started.elapsed();
        control.add(&within(patience, look(state, session, &mut feed)).await?);
        patience = LOOK;
        control.heard.store(began.as_millis() as u64, Ordering::Release);
        control.done.send_replace(number);
        if *said {
            tracing::info!("the feed of revocations is back");
            *said = false;
        }
        if swept.elapsed() > SWEEP {
            control.sweep();
            swept = Instant::now();
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = control.poke.notified() => {}
        }
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    let hangs = |_| DbError::Unavailable("the feed hangs".into());
    timeout(patience, work).await.map_err(hangs)?
}

async fn look(
    state: &AppState,
    session: &Session,
    feed: &mut feed::Feed,
) -> Result<Vec<feed::News>, DbError> {
    let news = feed.next(session).await?;
    if state.reopens_keys() || news.iter().any(|news| matches!(news.subject, feed::Subject::Keys)) {
        // Should it fail, the next connection begins with it.
        take_keys(state, session).await?;
    }
    state.drop_expired_keys();
    Ok(news)
}

/// Without the right keys, who knows whose are revoked: as bad as no news.
async fn take_keys(state: &AppState, session: &Session) -> Result<(), DbError> {
    state.take_keys(&keys::list_by(session).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(subject: feed::Subject, seconds: u64) -> feed::News {
        feed::News { subject, remaining: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_session_and_lower_versions_of_a_user_are_dead() {
        let control = Control::default();
        let (user, session, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(control.judge(user, session, 1), Ok(()));
        control.add(&[
            news(feed::Subject::Session(session), 60),
            news(feed::Subject::User(user, 3), 60),
            // In the order of the transactions' numbers, not of the versions.
            news(feed::Subject::User(user, 2), 60),
        ]);
        assert_eq!(control.judge(other, session, 9), Err(TokenError::Revoked));
        assert_eq!(control.judge(user, other, 2), Err(TokenError::Revoked));
        assert_eq!(control.judge(user, other, 3), Ok(()));
        assert_eq!(control.judge(other, other, 1), Ok(()));
    }

    #[test]
    fn what_was_known_already_is_no_news_and_what_is_over_is_forgotten() {
        let control = Control::default();
        let (session, user) = (Uuid::now_v7(), Uuid::now_v7());
        let all = [news(feed::Subject::Session(session), 0), news(feed::Subject::User(user, 2), 0)];
        control.add(&all);
        let epoch = control.epoch().expect("heard of just now");
        control.add(&all);
        assert_eq!((control.epoch().expect("still"), control.len()), (epoch, 2));
        control.sweep();
        assert!(control.is_empty());
    }

    #[test]
    fn without_news_nobody_is_believed() {
        let mut control = Control::default();
        assert!(control.epoch().is_ok());
        control.started -= PATIENCE + Duration::from_millis(1);
        assert!(matches!(control.epoch(), Err(ApiError::Unavailable(_))));
    }
}
