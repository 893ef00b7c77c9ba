//! What the tests share.

pub mod again;
pub mod app;
pub mod database;
pub mod http;
pub mod process;
pub mod proxy;
pub mod watch;

/// For tests that wait for one thing after another.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Waits for what comes by itself, within a few ticks of five seconds on a slow machine.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 60, "waited a minute in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
