//! Verified tokens, remembered by each worker for itself: no lock, and a bound. A hit is looked at again for all that can
//! change meanwhile: the time, the keys, and what has been revoked.

use std::{
    cell::{Cell, OnceCell, RefCell},
    num::NonZeroUsize,
    rc::Rc,
};

use actix_web::web::Bytes;
use lru::LruCache;
use uuid::Uuid;

use super::{
    revocation::Control,
    token::{Claims, LEEWAY},
};
use crate::{
    db::{api_keys::GoodKey, last_use::LastUse},
    error::ApiError,
    state::AppState,
};

/// Tokens of one worker: about 4 MiB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// What is known of somebody whose token or API key is good.
pub struct Known {
    /// The user.
    pub id: Uuid,
    /// The session, or the API key.
    pub session: Uuid,
    pub version: i32,
    pub scope: String,
    /// Seconds since 1970, as all times here.
    expires: i64,
    issued: i64,
    /// Up to which news of revocations, and with which set of keys, it was found good.
    epoch: Cell<u64>,
    keys: u64,
    /// The minute of the last use that was noted.
    minute: Cell<i64>,
    /// The answer of `GET /api/v1/me`: whatever would change it ends the token.
    pub me: OnceCell<Bytes>,
}

/// What a look at a token goes by. Read before the look: then what is found good is never taken for newer than it is.
pub struct Sight<'a> {
    control: &'a Control,
    epoch: u64,
    keys: u64,
    now: i64,
}

impl<'a> Sight<'a> {
    /// An error when the news is too old to believe anybody.
    pub fn of(state: &'a AppState) -> Result<Self, ApiError> {
        Self::new(&state.control, state.keys.version(), state.now())
    }

    pub fn new(control: &'a Control, keys: u64, now: i64) -> Result<Self, ApiError> {
        Ok(Self { epoch: control.epoch()?, control, keys, now })
    }
}

impl Known {
    pub fn of(claims: Claims, sight: &Sight) -> Self {
        Self {
            id: claims.sub,
            session: claims.sid,
            version: claims.ver,
            scope: claims.scope,
            expires: claims.exp,
            issued: claims.iat,
            epoch: Cell::new(sight.epoch),
            keys: sight.keys,
            minute: Cell::new(0),
            me: OnceCell::new(),
        }
    }

    /// Of an API key, with what it may do.
    pub fn of_key(key: GoodKey, scope: String, sight: &Sight) -> Self {
        Self {
            id: key.user,
            session: key.id,
            version: key.version,
            scope,
            expires: sight.now + key.remaining,
            issued: sight.now,
            epoch: Cell::new(sight.epoch),
            keys: sight.keys,
            minute: Cell::new(0),
            me: OnceCell::new(),
        }
    }

    fn holds(&self, sight: &Sight) -> bool {
        if self.expires <= sight.now || self.issued > sight.now + LEEWAY || self.keys != sight.keys
        {
            return false;
        }
        if self.epoch.get() != sight.epoch {
            if sight.control.judge(self.id, self.session, self.version).is_err() {
                return false;
            }
            self.epoch.set(sight.epoch);
        }
        true
    }

    /// About to the minute.
    pub fn note_use(&self, last_use: &LastUse, now: i64) {
        let minute = now / 60;
        if self.minute.replace(minute) != minute {
            last_use.note(self.session, now);
        }
    }
}

pub struct TokenCache(RefCell<LruCache<Box<str>, Rc<Known>>>);

impl Default for TokenCache {
    fn default() -> Self {
        Self(RefCell::new(LruCache::new(CAPACITY)))
    }
}

impl TokenCache {
    /// Whoever was found good before, and still is.
    pub fn find(&self, token: &str, sight: &Sight) -> Option<Rc<Known>> {
        let mut cache = self.0.borrow_mut();
        if let Some(known) = cache.get(token)
            && known.holds(sight)
        {
            return Some(known.clone());
        }
        cache.pop(token);
        None
    }

    pub fn keep(&self, token: &str, known: Known) -> Rc<Known> {
        let known = Rc::new(known);
        self.0.borrow_mut().put(token.into(), known.clone());
        known
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::feed::{News, Subject};

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            iss: "https://example.org".into(),
            aud: "https://example.org/api".into(),
            sub: Uuid::now_v7(),
            iat: NOW,
            nbf: NOW,
            exp: NOW + 300,
            jti: Uuid::now_v7(),
            sid: Uuid::now_v7(),
            ver: 3,
            scope: "account".into(),
            auth_time: NOW,
            amr: vec!["pwd".into()],
        }
    }

    #[test]
    fn a_hit_is_looked_at_again_for_all_that_can_change() {
        let (control, claims) = (Control::default(), claims());
        let sight = |keys, now| Sight::new(&control, keys, now).expect("news");
        let ended = |subject| control.add(&[News { subject, remaining: Duration::from_secs(60) }]);
        let cache = TokenCache::default();
        let keep = || drop(cache.keep("token", Known::of(claims.clone(), &sight(7, NOW))));
        let found = |keys, now| cache.find("token", &sight(keys, now)).is_some();

        keep();
        assert!(found(7, NOW) && found(7, NOW + 299) && found(7, NOW - 5));
        assert!(cache.find("token2", &sight(7, NOW)).is_none());
        for (keys, now, why) in [
            (7, NOW + 300, "its end"),
            (7, NOW - 6, "a clock that was set back"),
            (8, NOW, "other keys"),
        ] {
            keep();
            assert!(!found(keys, now), "{why}");
            assert!(!found(7, NOW), "{why}: it is forgotten");
        }
        keep();
        ended(Subject::Session(Uuid::now_v7()));
        ended(Subject::User(claims.sub, 3));
        assert!(found(7, NOW), "others' news, and a version that it has");
        ended(Subject::User(claims.sub, 4));
        assert!(!found(7, NOW), "a raised version");
        let other = Claims { sub: Uuid::now_v7(), ..claims };
        cache.keep("other", Known::of(other.clone(), &sight(7, NOW)));
        ended(Subject::Session(other.sid));
        assert!(cache.find("other", &sight(7, NOW)).is_none(), "a session that has ended");
    }

    #[test]
    fn what_was_read_before_news_came_is_looked_at_again_after_it() {
        let (control, claims) = (Control::default(), claims());
        let before = Sight::new(&control, 0, NOW).expect("news");
        let subject = Subject::Session(claims.sid);
        control.add(&[News { subject, remaining: Duration::from_secs(60) }]);
        let cache = TokenCache::default();
        cache.keep("token", Known::of(claims, &before));
        assert!(cache.find("token", &Sight::new(&control, 0, NOW).expect("news")).is_none());
    }

    #[test]
    fn it_has_a_bound() {
        let (control, claims) = (Control::default(), claims());
        let sight = Sight::new(&control, 0, NOW).expect("news");
        let cache = TokenCache::default();
        for number in 0..CAPACITY.get() + 10 {
            cache.keep(&number.to_string(), Known::of(claims.clone(), &sight));
        }
        assert_eq!(cache.0.borrow().len(), CAPACITY.get());
        assert!(cache.find("0", &sight).is_none() && cache.find("10", &sight).is_some());
    }
}
