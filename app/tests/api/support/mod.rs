//! What the tests share.

pub mod again;
pub mod app;
pub mod database;
pub mod http;
pub mod process;
pub mod proxy;

/// For tests that wait for one thing after another.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
