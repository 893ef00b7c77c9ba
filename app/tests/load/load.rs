//! The load client: `load --help` says all that it does.
//!
//! `engine` sends and counts, and knows nothing of a command line; Rust tests can use it by itself.

mod cli;
mod compare;
mod engine;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use cli::Command;
use engine::{Level, Plan, Progress, Report, Stop};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = cli::parse();
    let result = match cli.command {
        Some(Command::Compare(compare)) => compare::run(&compare).map(|found| {
            println!("{}", json(&found));
            eprint!("{found}");
            found.is_right()
        }),
        None => {
            return match cli.load.plan().and_then(load) {
                Ok(report) => ended(&report),
                Err(error) => failed(&error),
            };
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("load: {error}");
    ExitCode::from(USAGE)
}

fn ended(report: &Report) -> ExitCode {
    println!("{}", json(report));
    eprint!("{report}");
    match report.failed_total {
        _ if report.interrupted => ExitCode::from(INTERRUPTED),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain numbers and texts")
}

fn load(plan: Plan) -> Result<Report, String> {
    let stop = Stop::default();
    watch_signals(&stop).map_err(|error| error.to_string())?;
    allow_many_files();
    let is_terminal = stderr().is_terminal();
    let report = engine::run(plan, &stop, |now| {
        if is_terminal {
            show(&now);
        }
    });
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    report.map_err(|error| error.to_string())
}

fn show(now: &Progress) {
    let rate = now.ok as f64 / now.seconds.max(1e-3);
    eprint!(
        "\r\x1b[K{:.0} s: {} ok ({rate:.0} a second), {} failed",
        now.seconds, now.ok, now.failed
    );
    // Only a picture; the numbers come at the end.
    let _ = stderr().flush();
}

/// The first ends the sending, the second the waiting for answers, too.
fn watch_signals(stop: &Stop) -> std::io::Result<()> {
    let (mut signals, stop) = (Signals::new([SIGINT, SIGTERM])?, stop.clone());
    std::thread::spawn(move || {
        for (_, level) in signals.forever().zip([Level::Finish, Level::Abort]) {
            stop.set(level);
        }
    });
    Ok(())
}

/// Each connection is a file, and the usual soft limit is 1024.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Left as it is, running out of files has its own class of failure.
    let _ = setrlimit(Resource::Nofile, limit);
}
