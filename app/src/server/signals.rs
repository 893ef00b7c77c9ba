//! TERM and INT, on a plain OS thread that no blocked worker can hold up.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use super::life::Life;

/// What a signal ends: nothing but the process until `serve` puts its life here.
static SERVING: OnceLock<(Arc<Life>, Duration)> = OnceLock::new();

/// To be called first in `main`: as PID 1 a process ignores TERM until it has a handler.
pub fn install() -> std::io::Result<()> {
    let signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || listen(signals))?;
    Ok(())
}

/// From now on the first signal starts a drain, and `hard_exit` later the process is gone.
pub fn drain_on_signal(life: Arc<Life>, hard_exit: Duration) {
    assert!(SERVING.set((life, hard_exit)).is_ok(), "one server per process");
}

fn listen(mut signals: Signals) {
    let first = signals.forever().next().expect("the iterator ends only when closed");
    match SERVING.get() {
        Some((life, hard_exit)) if life.begin_drain() => wait(signals, life, *hard_exit),
        // Nothing is promised to anyone yet.
        _ => low_level::exit(128 + first),
    }
}

fn wait(mut signals: Signals, life: &Life, hard_exit: Duration) {
    let deadline = Instant::now() + hard_exit;
    while Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
        if signals.pending().any(|signal| signal == SIGINT) {
            tracing::warn!(
                open_connections = life.open(),
                "interrupted during the drain: exiting now"
            );
            low_level::exit(128 + SIGINT);
        }
    }
    tracing::error!(
        open_connections = life.open(),
        "the drain did not end in {} s (a handler blocks its worker, or a client does not read): exiting hard",
        hard_exit.as_secs()
    );
    low_level::exit(1);
}
