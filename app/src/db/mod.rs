//! The database: the pool here, one file a resource beside it, and all SQL in those.

pub mod api_keys;
pub mod audit;
mod client;
mod connect;
mod driver;
mod error;
pub mod feed;
pub mod invitations;
pub mod jobs;
pub mod keys;
pub mod last_use;
pub mod limits;
pub mod migrate;
pub mod notes;
pub mod purge;
pub mod sessions;
pub mod throwaway;
pub mod users;

use std::{ops::Deref, sync::Arc, time::Duration};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts,
};
use prometheus_client::metrics::counter::Counter;
use tokio::{task::JoinHandle, time::Instant};

pub use self::{
    client::{Client, Transaction},
    error::DbError,
};
use crate::config::Database;
use connect::Connector;
use driver::Driver;

/// A connection that was not handed out for this long is asked first whether it still lives.
const IDLE: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const RECYCLE: Duration = Duration::from_secs(1);
/// Between two attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// One pool for the whole process; clones share it.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    connector: Connector,
    wait: Duration,
    create: Duration,
    statements: Counter,
}

impl Db {
    /// Reads the settings; a connection is opened only when one is asked for.
    pub fn connect(settings: &Database) -> Result<Self, DbError> {
        let connector = Connector::new(settings)?;
        // Fast: a server that stops, restarts or dies closes its connections, the driver sees it at
        // once, and `is_closed` tells. Asking at every check-out would double the round trips of a
        // one-statement request. What Fast cannot see, a peer that vanished without a word, is left
        // to the question below.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager =
            Manager::from_connect(tokio_postgres::Config::new(), connector.clone(), recycling);
        let wait = Duration::from_millis(settings.wait_ms);
        let create = Duration::from_millis(settings.create_ms);
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(wait), create: Some(create), recycle: Some(RECYCLE) })
            // The few connections that a quiet hour needs stay warm, the others are known to be
            // idle.
            .queue_mode(deadpool_postgres::QueueMode::Lifo)
            .pre_recycle(Hook::async_fn(|client, metrics| {
                let idle = metrics.last_used() > IDLE;
                Box::pin(async move { if idle { ask(client).await } else { Ok(()) } })
            }))
            .build()
            .map_err(|error| DbError::Unavailable(error.to_string()))?;
        Ok(Self { pool, connector, wait, create, statements: Counter::default() })
    }

    /// A connection for one request. While the server restarts, it is tried again until `wait_ms`
    /// is over, so that a restart costs only the requests whose statement it interrupts.
    pub async fn get(&self) -> Result<Client, DbError> {
        let begun = Instant::now();
        loop {
            // Idle connections that all turn out to be dead would be asked one after the other.
            let got = tokio::time::timeout(self.wait + self.create, self.pool.get()).await;
            let error = match got {
                Ok(Ok(object)) => {
                    let statements = self.statements.clone();
                    return Ok(Client::new(object, self.connector.driver(), statements));
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(no_answer_in(self.wait + self.create)),
            };
            if !error::may_pass(&error) || begun.elapsed() + PAUSE > self.wait {
                return Err(error.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn begin(&self) -> Result<Transaction, DbError> {
        self.get().await?.begin().await
    }

    /// A connection beside the pool, for one who keeps it; `purpose` shows in `pg_stat_activity`.
    pub async fn session(&self, purpose: &str) -> Result<Session, DbError> {
        let connector = self.connector.named(purpose);
        let (client, driven) = tokio::time::timeout(self.create, connector.open())
            .await
            .map_err(|_| no_answer_in(self.create))?
            .map_err(|error| DbError::from_connect(&error))?;
        Ok(Session { client, driven, _driver: connector.driver() })
    }

    /// Takes leave of the server. Without it, the process just ends, and the server logs that its
    /// client is gone.
    pub async fn close(&self) {
        self.pool.close();
        self.connector.driver().rest().await;
    }

    /// Sent so far by way of the pool.
    pub fn statements(&self) -> &Counter {
        &self.statements
    }

    /// Connections of this process, busy and idle ones.
    pub fn status(&self) -> deadpool_postgres::Status {
        self.pool.status()
    }
}

fn no_answer_in(time: Duration) -> DbError {
    DbError::Unavailable(format!("no connection within {} ms", time.as_millis()))
}

async fn ask(client: &deadpool_postgres::ClientWrapper) -> Result<(), HookError> {
    match tokio::time::timeout(RECYCLE, client.simple_query("")).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(HookError::Backend(error)),
        Err(_) => Err(HookError::message("no answer")),
    }
}

/// A connection of its own, closed when dropped.
pub struct Session {
    client: tokio_postgres::Client,
    driven: JoinHandle<()>,
    _driver: Arc<Driver>,
}

impl Deref for Session {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driven.abort();
    }
}
