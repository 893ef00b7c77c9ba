//! What all workers of a process share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use actix_web::web::Data;
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    auth::{
        api_key,
        key_file::KeyFile,
        keys::{KeyError, KeyRing, StoredKey},
        password::Passwords,
        refresh::RefreshKeys,
        revocation::{self, Control},
        shared::Shared,
        token::{Issuer, SelfTestError},
    },
    config::{ConfigError, Settings},
    db::{
        Db, DbError, keys,
        last_use::LastUse,
        migrate::{self, MigrateError},
    },
    housekeeping,
    server::{dev::Pages, life::Life},
    telemetry::metrics::Metrics,
};

pub struct AppState {
    pub life: Arc<Life>,
    /// Names this process among those that ever filled its slot.
    pub instance: String,
    pub started: Instant,
    /// The address in people's browsers.
    pub origin: String,
    pub db: Db,
    pub keys: Shared<KeyRing>,
    pub master: KeyFile,
    /// There are other master keys, and the signing keys have not been opened with them yet.
    reopen: AtomicBool,
    pub issuer: Issuer,
    pub refresh: RefreshKeys,
    pepper: Arc<KeyFile>,
    pub passwords: Passwords,
    /// Whose tokens have ended before their time.
    pub control: Control,
    pub key_lookups: Semaphore,
    pub last_use: LastUse,
    pub metrics: Metrics,
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
        let master = KeyFile::master(&settings)?;
        let refresh = RefreshKeys(KeyFile::refresh(&settings)?);
        let pepper = Arc::new(KeyFile::pepper(&settings)?);
        let db = Db::connect(&settings.database).map_err(StateError::Db)?;
        let keys = key_ring(&db, &master).await?;
        let issuer = Issuer::new(&origin, settings.auth.access_lifetime_s);
        issuer.self_test(&keys, unix_time())?;
        Ok(Self {
            life,
            instance,
            started: Instant::now(),
            keys: Shared::new(keys),
            master,
            reopen: AtomicBool::new(false),
            issuer,
            refresh,
            passwords: Passwords::start(pepper.clone(), settings.workers()),
            pepper,
            control: Control::default(),
            key_lookups: Semaphore::new(api_key::LOOKUPS),
            last_use: LastUse::default(),
            metrics: Metrics::default(),
            origin,
            db,
            settings,
            dev: None,
        })
    }

    /// Starts what goes on beside the requests, and waits until nothing is missing for these: afterwards no token is
    /// believed that has been revoked. Dropped, it ends.
    pub async fn companions(state: &Data<Self>) -> Companions {
        let (feed, house) = (state.clone(), state.clone());
        let companions = Companions([
            tokio::spawn(async move { revocation::follow(&feed).await }),
            tokio::spawn(async move { housekeeping::keep(&house).await }),
        ]);
        state.control.first().await;
        companions
    }

    /// The set of signing keys has changed. Whichever can be opened, all of them verify. Only the feed says so: what
    /// somebody else read may be older than what it has, and would bring a revoked key back.
    pub fn take_keys(&self, keys: &[StoredKey]) {
        let ring = KeyRing::open(&self.master.get(), keys);
        // News may come more than once.
        if ring.is_as(&self.keys.get()) {
            return;
        }
        if let Err(error) = self.issuer.self_test(&ring, self.now()) {
            tracing::error!("no token that is issued now will be believed: {error}");
        }
        match ring.signing(self.now()) {
            Err(error) => tracing::error!("no sign-in and no refresh is possible: {error}"),
            Ok(_) => warn_of_sealed(&ring),
        }
        self.keys.set(ring);
    }

    /// Other files of keys hold from now on; the signing keys, as soon as the feed has opened them again.
    pub fn read_key_files(&self) {
        self.refresh.0.read_again();
        self.pepper.read_again();
        if self.master.read_again() {
            self.reopen.store(true, Ordering::Relaxed);
        }
    }

    /// Whether they are to be opened again; once.
    pub fn reopens_keys(&self) -> bool {
        self.reopen.swap(false, Ordering::Relaxed)
    }

    pub fn drop_expired_keys(&self) {
        if let Some(ring) = self.keys.get().without_expired(self.now()) {
            self.keys.set(ring);
        }
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

pub struct Companions([JoinHandle<()>; 2]);

impl Drop for Companions {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

fn warn_of_sealed(ring: &KeyRing) {
    for kid in ring.sealed() {
        tracing::warn!(
            "signing key {kid} does not open, and does not sign: its master key is not in \
             ROADSTEAD_AUTH__MASTER_KEY"
        );
    }
}

/// The keys, once the schema is there and they are in it.
async fn key_ring(db: &Db, master: &KeyFile) -> Result<KeyRing, StateError> {
    let mut said = String::new();
    loop {
        let reason = match look(db, master).await {
            Ok(Ok(ring)) => {
                warn_of_sealed(&ring);
                return Ok(ring);
            }
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
async fn look(db: &Db, master: &KeyFile) -> Result<Result<KeyRing, String>, StateError> {
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
    let ring = KeyRing::open(&master.get(), &keys);
    match ring.signing(unix_time()) {
        Ok(_) => Ok(Ok(ring)),
        Err(none @ KeyError::None) => Ok(Err(none.to_string())),
        Err(sealed) => Err(StateError::Key(sealed)),
    }
}
