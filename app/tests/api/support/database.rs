//! A database for each test, cloned from a migrated template on one PostgreSQL that all tests
//! share.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use roadstead::{
    auth::{keys::NewKey, secret::Keys},
    config,
    db::{Db, Session, keys, migrate, throwaway::Throwaway},
};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "migrated";
/// Of the template's signing key.
pub const MASTER_KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFA";
static SERVER: Mutex<Option<Throwaway>> = Mutex::new(None);
/// The superuser's way in.
static ADMIN: OnceCell<config::Database> = OnceCell::const_new();

/// Dropped, it is removed.
pub struct TestDb {
    admin: config::Database,
    name: String,
}

impl TestDb {
    /// With the schema of today, and no rows.
    pub async fn new() -> Self {
        Self::create(TEMPLATE).await
    }

    pub async fn empty() -> Self {
        Self::create("template0").await
    }

    async fn create(template: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let admin = ADMIN.get_or_init(start).await.clone();
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        create_database(&admin, &name, template).await;
        Self { admin, name }
    }

    /// As the application comes in: rows only. A small pool with little patience, as tests want it.
    pub fn app(&self) -> config::Database {
        config::Database { pool_size: 4, wait_ms: 1_000, ..self.settings("roadstead_app") }
    }

    /// As `roadstead migrate` comes in.
    pub fn owner(&self) -> config::Database {
        self.settings("roadstead_owner")
    }

    pub fn superuser(&self) -> config::Database {
        self.settings("postgres")
    }

    /// Ends all connections, and lets no new one in.
    pub async fn cut_off(&self) {
        let name = &self.name;
        execute(&self.admin, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname =";
        execute(&self.admin, &format!("{end} '{name}'")).await;
    }

    pub async fn restore(&self) {
        execute(&self.admin, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)).await;
    }

    fn settings(&self, user: &str) -> config::Database {
        config::Database { name: self.name.clone(), user: user.into(), ..self.admin.clone() }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The test's own runtime is about to end. Should ours be the last test, the whole server
        // goes.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                if let Ok(session) = Db::connect(&admin).unwrap().session("drop").await {
                    let _ = session.batch_execute(&drop).await;
                }
            });
        });
    }
}

/// A connection of its own to a database.
pub async fn session(settings: &config::Database) -> Session {
    Db::connect(settings).unwrap().session("test").await.unwrap()
}

async fn start() -> config::Database {
    let server = Throwaway::start(&[]).unwrap_or_else(|error| panic!("{error}"));
    let admin = server.database("postgres", "postgres");
    *SERVER.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    at_exit(remove_server);

    create_database(&admin, TEMPLATE, "template0").await;
    let owner =
        config::Database { name: TEMPLATE.into(), user: "roadstead_owner".into(), ..admin.clone() };
    let session = session(&owner).await;
    migrate::run(&session, migrate::STEPS, &migrate::Patience::default()).await.unwrap();
    let key = NewKey::generate(&Keys::parse(MASTER_KEY).unwrap(), 0);
    keys::insert_first(&Db::connect(&owner).unwrap(), &key).await.unwrap();
    admin
}

/// Owner and rights as in the stack.
async fn create_database(admin: &config::Database, name: &str, template: &str) {
    let create = format!("CREATE DATABASE {name} OWNER roadstead_owner TEMPLATE {template}");
    execute(admin, &create).await;
    execute(admin, &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await;
    execute(admin, &format!("GRANT CONNECT ON DATABASE {name} TO roadstead_app")).await;
}

async fn execute(admin: &config::Database, sql: &str) {
    session(admin)
        .await
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// A static is never dropped.
extern "C" fn remove_server() {
    drop(SERVER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

#[expect(unsafe_code, reason = "the C library's way to run something at the end of the process")]
fn at_exit(run: extern "C" fn()) {
    unsafe extern "C" {
        fn atexit(run: extern "C" fn()) -> i32;
    }
    // SAFETY: it only stores the pointer, which is valid for ever.
    unsafe { atexit(run) };
}
