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

use super::token::{Claims, LEEWAY};
use crate::{db::api_keys::GoodKey, error::ApiError, state::AppState};

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
    /// When they proved who they are; an API key never did. Seconds since 1970, as all times here.
    pub auth_time: Option<i64>,
    pub expires: i64,
    issued: i64,
    /// Up to which news of revocations, and with which set of keys, it was found good.
    epoch: Cell<u64>,
    keys: u64,
    /// The minute of the last use that was noted.
    minute: Cell<i64>,
    /// The answer of `GET /api/v1/me`: whatever would change it ends the token.
    pub me: OnceCell<Bytes>,
}

impl Known {
    /// `epoch` and `keys` as they were read before the look that found it good.
    pub fn of(claims: Claims, epoch: u64, keys: u64) -> Self {
        Self {
            id: claims.sub,
            session: claims.sid,
            version: claims.ver,
            scope: claims.scope,
            auth_time: Some(claims.auth_time),
            expires: claims.exp,
            issued: claims.iat,
            epoch: Cell::new(epoch),
            keys,
            minute: Cell::new(0),
            me: OnceCell::new(),
        }
    }

    /// Of an API key, with what it may do.
    pub fn of_key(key: GoodKey, scope: String, now: i64, epoch: u64, keys: u64) -> Self {
        Self {
            id: key.user,
            session: key.id,
            version: key.version,
            scope,
            auth_time: None,
            expires: now + key.remaining,
            issued: now,
            epoch: Cell::new(epoch),
            keys,
            minute: Cell::new(0),
            me: OnceCell::new(),
        }
    }

    fn holds(&self, state: &AppState, epoch: u64, now: i64) -> bool {
        if self.expires <= now || self.issued > now + LEEWAY {
            return false;
        }
        if self.keys != state.keys.version() {
            return false;
        }
        if self.epoch.get() != epoch {
            if state.control.judge(self.id, self.session, self.version).is_err() {
                return false;
            }
            self.epoch.set(epoch);
        }
        true
    }

    fn note_use(&self, state: &AppState, now: i64) {
        let minute = now / 60;
        if self.minute.replace(minute) != minute {
            state.last_use.note(self.session, now);
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
    pub fn find(&self, state: &AppState, token: &str) -> Result<Option<Rc<Known>>, ApiError> {
        let epoch = state.control.epoch()?;
        let now = state.now();
        let mut cache = self.0.borrow_mut();
        match cache.get(token) {
            Some(known) if known.holds(state, epoch, now) => {
                known.note_use(state, now);
                state.metrics.cache_hits.inc();
                Ok(Some(known.clone()))
            }
            Some(_) => {
                cache.pop(token);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    pub fn keep(&self, state: &AppState, token: &str, known: Known) -> Rc<Known> {
        let known = Rc::new(known);
        known.note_use(state, state.now());
        state.metrics.cache_misses.inc();
        self.0.borrow_mut().put(token.into(), known.clone());
        known
    }
}
