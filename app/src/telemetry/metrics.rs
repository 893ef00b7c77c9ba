//! What the process counts, in the text format of OpenMetrics. Whatever can be asked when somebody reads it is not
//! counted here.

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::ConstGauge},
    registry::Registry,
};

use crate::state::AppState;

#[derive(Default)]
pub struct Metrics {
    pub cache_hits: Counter,
    pub cache_misses: Counter,
}

impl Metrics {
    pub fn text(state: &AppState) -> String {
        let metrics = &state.metrics;
        let mut registry = Registry::with_prefix("roadstead");
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("token_cache_hits", "Tokens that a worker knew", &metrics.cache_hits);
        counter("token_cache_misses", "Tokens that were verified anew", &metrics.cache_misses);
        counter(
            "database_statements",
            "Statements by way of the pool: requests' and housekeeping's",
            state.db.statements(),
        );
        counter(
            "password_hashes",
            "Passwords hashed, to make a hash or to compare with one",
            state.passwords.hashes(),
        );
        let known = ConstGauge::new(state.control.len() as i64);
        registry.register("revocations", "Ended sessions and raised versions in memory", known);
        let lag = ConstGauge::new(state.control.lag().as_secs_f64());
        registry.register("revocation_feed_lag_seconds", "Age of the newest news", lag);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes everything");
        text
    }
}
