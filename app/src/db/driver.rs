//! The thread that reads and writes all connections. A connection driven by the worker that opened
//! it would stand still with that worker, and end with it, while others use it.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_postgres::{Connection, Socket};

use super::DbError;

/// For a connection to take its leave.
const FAREWELL: Duration = Duration::from_millis(250);

pub(super) struct Driver {
    handle: Handle,
    /// Each connection holds a copy.
    live: Arc<()>,
    /// The thread ends when this is dropped.
    _alive: oneshot::Sender<()>,
}

impl Driver {
    pub fn start() -> Result<Self, DbError> {
        let cannot = |error: std::io::Error| DbError::Unavailable(error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        let drive = move || drop(runtime.block_on(ended));
        std::thread::Builder::new().name("database".into()).spawn(drive).map_err(cannot)?;
        Ok(Self { handle, live: Arc::new(()), _alive: alive })
    }

    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(work)
    }

    /// To abort the task that this returns is what deadpool does to a connection it drops, and what
    /// we do: the connection then says goodbye, for else the server logs an error; only one that
    /// hangs is cut off.
    pub fn drive<T>(&self, connection: Connection<Socket, T>) -> JoinHandle<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let live = Arc::clone(&self.live);
        let driven = self.handle.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!("a database connection ended: {}", DbError::from(error));
            }
            drop(live);
        });
        let mut driven = CutOff(driven, self.handle.clone());
        self.handle.spawn(async move {
            let _ = (&mut driven.0).await;
        })
    }

    /// Waits until all connections have ended, those that hang excepted.
    pub async fn rest(&self) {
        let begun = Instant::now();
        while Arc::strong_count(&self.live) > 1 && begun.elapsed() < 2 * FAREWELL {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

struct CutOff(JoinHandle<()>, Handle);

impl Drop for CutOff {
    fn drop(&mut self) {
        let connection = self.0.abort_handle();
        if !connection.is_finished() {
            self.1.spawn(async move {
                sleep(FAREWELL).await;
                connection.abort();
            });
        }
    }
}
