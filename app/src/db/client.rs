//! A connection on loan from the pool.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::Object;
use prometheus_client::metrics::counter::Counter;
use tokio_postgres::{Row, error::SqlState, types::ToSql};

use super::{DbError, driver::Driver};

/// How long an abandoned statement may go on before its connection is given up.
const SETTLE: Duration = Duration::from_secs(1);

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A macro, because a function that takes the method as an async closure makes futures that cannot be
/// spawned.
macro_rules! prepared {
    ($client:ident, $method:ident, $sql:ident, $of:ident) => {
        $client
            .run(async |object| {
                let statement = object.prepare_cached($sql).await?;
                let done = object.$method(&statement, $of).await;
                if !done.as_ref().is_err_and(is_stale) {
                    return done;
                }
                object.statement_cache.remove($sql, &[]);
                // Nothing was executed; but a transaction is over.
                if $client.in_transaction {
                    return done;
                }
                object.$method(&object.prepare_cached($sql).await?, $of).await
            })
            .await
    };
}

/// Statements are `&'static str` throughout: they are prepared once a connection and kept, in a
/// cache without a bound, and a text put together from input cannot get here.
pub struct Client {
    /// None only while being dropped.
    object: Option<Object>,
    /// A statement was sent and its answer not read to the end, or the connection may be lost.
    unsettled: AtomicBool,
    in_transaction: bool,
    /// A statement of the transaction failed: what follows is refused, and COMMIT would be a
    /// ROLLBACK that says nothing.
    failed: AtomicBool,
    driver: Arc<Driver>,
    statements: Counter,
}

impl Client {
    pub(super) fn new(object: Object, driver: Arc<Driver>, statements: Counter) -> Self {
        Self {
            object: Some(object),
            unsettled: AtomicBool::new(false),
            in_transaction: false,
            failed: AtomicBool::new(false),
            driver,
            statements,
        }
    }

    pub async fn query(&self, sql: &'static str, of: Parameters<'_>) -> Result<Vec<Row>, DbError> {
        prepared!(self, query, sql, of)
    }

    /// One row or none.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        of: Parameters<'_>,
    ) -> Result<Option<Row>, DbError> {
        prepared!(self, query_opt, sql, of)
    }

    /// Exactly one row.
    pub async fn query_one(&self, sql: &'static str, of: Parameters<'_>) -> Result<Row, DbError> {
        prepared!(self, query_one, sql, of)
    }

    /// The number of rows that changed.
    pub async fn execute(&self, sql: &'static str, of: Parameters<'_>) -> Result<u64, DbError> {
        prepared!(self, execute, sql, of)
    }

    /// From here on all or nothing; `read committed`.
    pub async fn begin(mut self) -> Result<Transaction, DbError> {
        self.in_transaction = true;
        self.run(async |object| object.batch_execute("BEGIN").await).await?;
        Ok(Transaction(self))
    }

    async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, DbError> {
        let object = self.object.as_ref().expect("it is taken only in drop");
        self.unsettled.store(true, Ordering::Relaxed);
        self.statements.inc();
        let done = work(object).await.map_err(DbError::from);
        let is = |wanted: fn(&DbError) -> bool| done.as_ref().is_err_and(wanted);
        // The server says that it goes before it goes: for a moment the connection still looks
        // alive.
        self.unsettled.store(is(DbError::is_unavailable), Ordering::Relaxed);
        if is(|error| error.code().is_some()) {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }
}

/// A migration has changed, under a running slot, what a prepared statement returns: a new column
/// behind `SELECT *`, or another type. Naming the columns avoids the first.
fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::FEATURE_NOT_SUPPORTED && db.message().contains("cached plan")
    })
}

/// A request may die at any `.await` (its client hung up, its deadline passed). Its statement goes
/// on in the server all the same, and the next one on this connection would wait for it: so the
/// connection goes back to the pool only when it is idle again.
impl Drop for Client {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        let last = match (self.in_transaction, *self.unsettled.get_mut()) {
            (false, false) => return drop(object),
            // An empty query is answered when all before it are.
            (false, true) => "",
            (true, _) => "ROLLBACK",
        };
        let driver = Arc::clone(&self.driver);
        self.driver.spawn(async move {
            let settled = tokio::time::timeout(SETTLE, object.batch_execute(last)).await;
            if !matches!(settled, Ok(Ok(()))) {
                // Closes it; the server then ends the statement (client_connection_check_interval).
                drop(Object::take(object));
            }
            drop(driver);
        });
    }
}

/// Rolls back when dropped without `commit`.
pub struct Transaction(Client);

impl Transaction {
    pub async fn commit(mut self) -> Result<(), DbError> {
        if *self.0.failed.get_mut() {
            return Err(DbError::Aborted);
        }
        self.0.run(async |object| object.batch_execute("COMMIT").await).await?;
        self.0.in_transaction = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}
