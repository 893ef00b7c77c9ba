//! What all workers of a process share.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    auth::{
        keys::{KeyError, KeyRing},
        password::Passwords,
        refresh::RefreshKey,
        secret::Key,
        token::{Issuer, SelfTestError},
    },
    config::{ConfigError, Settings},
    db::{
        Db, DbError, keys,
        migrate::{self, MigrateError},
    },
    server::{dev::Pages, life::Life},
};

pub struct AppState {
    pub life: Arc<Life>,
    /// Names this process among those that ever filled its slot.
    pub instance: String,
    pub started: Instant,
    /// The address in people's browsers.
    pub origin: String,
    pub db: Db,
    pub keys: KeyRing,
    pub issuer: Issuer,
    pub refresh: RefreshKey,
    pub passwords: Passwords,
    pub settings: Settings,
    /// None in production.
    pub dev: Option<Pages>,
}

/// What no waiting cures.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Setting(#[from] ConfigError),
    #[error(transparent)]
    Db(DbError),
    #[error(transparent)]
    Key(KeyError),
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
}

impl AppState {
    /// Waits for what it depends on, for as long as it takes, and says for what.
    pub async fn prepare(
        settings: Settings,
        life: Arc<Life>,
        instance: String,
        origin: String,
    ) -> Result<Self, StateError> {
        let auth = &settings.auth;
        let master = Key::from_setting("ROADSTEAD_AUTH__MASTER_KEY", auth.master_key.as_ref())?;
        let refresh = Key::from_setting("ROADSTEAD_AUTH__REFRESH_KEY", auth.refresh_key.as_ref())?;
        let pepper = Key::from_setting("ROADSTEAD_AUTH__PEPPER", auth.pepper.as_ref())?;
        let db = Db::connect(&settings.database).map_err(StateError::Db)?;
        let keys = key_ring(&db, &master).await?;
        let issuer = Issuer::new(&origin, auth.access_lifetime_s);
        issuer.self_test(&keys, unix_time())?;
        Ok(Self {
            life,
            instance,
            started: Instant::now(),
            keys,
            issuer,
            refresh: RefreshKey::new(refresh),
            passwords: Passwords::start(pepper, settings.workers()),
            origin,
            db,
            settings,
            dev: None,
        })
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        unix_time()
    }
}

fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

/// The keys, once the schema is there and they are in it.
async fn key_ring(db: &Db, master: &Key) -> Result<KeyRing, StateError> {
    let mut said = String::new();
    loop {
        let reason = match look(db, master).await {
            Ok(Ok(ring)) => return Ok(ring),
            Ok(Err(reason)) => reason,
            Err(StateError::Db(error @ DbError::Unavailable(_))) => error.to_string(),
            Err(error) => return Err(error),
        };
        if reason != said {
            tracing::info!("waiting: {reason}");
            said = reason;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The ring, or what to wait for.
async fn look(db: &Db, master: &Key) -> Result<Result<KeyRing, String>, StateError> {
    let client = db.get().await.map_err(StateError::Db)?;
    let required = migrate::REQUIRED;
    let applied = migrate::applied(&client).await.map_err(StateError::Db)?;
    if applied.version < required {
        return Ok(Err(format!(
            "the schema is at version {}, and must be at {required}: `roadstead migrate`",
            applied.version
        )));
    }
    if applied.readers_from > required {
        let past = MigrateError::Past { readers_from: applied.readers_from, required };
        return Ok(Err(past.to_string()));
    }
    let keys = keys::list(&client).await.map_err(StateError::Db)?;
    match KeyRing::open(master, &keys) {
        Err(none @ KeyError::None) => Ok(Err(none.to_string())),
        opened => opened.map(Ok).map_err(StateError::Key),
    }
}
