//! What a process does beside requests, from time to time.

use std::time::Duration;

use crate::state::AppState;

const INTERVAL: Duration = Duration::from_secs(5);

pub async fn keep(state: &AppState) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = state.last_use.write(&state.db).await {
            tracing::debug!("last uses are not written: {error}");
        }
    }
}
