//! One line an event on stdout, JSON or text. No token, body or e-mail address belongs in one.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat, LogLevel};

pub fn install(settings: &Log) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries speak up only when something is wrong.
    let targets =
        Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("roadstead", level);
    let layer = match settings.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_target(false).boxed(),
        LogFormat::Text => {
            fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal()).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panic: {}", panic.payload_as_str().unwrap_or("not a text"));
    }));
}
