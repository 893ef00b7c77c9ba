//! The command line.

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use roadstead::{
    commands::{self, init, publish},
    config::Settings,
    server, telemetry,
};

/// The application server of Roadstead, and its tools.
///
/// Settings come from ROADSTEAD_… variables, or a TOML file that ROADSTEAD_CONFIG names.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one slot (ROADSTEAD_SLOT) on its unix socket, with one worker per core
    Serve,
    /// Exit 0 when this slot's own process is ready
    Healthcheck,
    /// Make what is missing in the five secret volumes; no key or password is ever replaced
    Init {
        /// Where the volumes are mounted, or a folder with five folders in it to try this in
        #[arg(long, default_value = init::layout::ROOT)]
        root: PathBuf,
    },
    /// Copy the image's pages and assets into the site volume
    Publish {
        /// Serve this release's pages from now on
        #[arg(long)]
        activate: bool,
        #[arg(long, hide = true, default_value = publish::RELEASE)]
        release: PathBuf,
        #[arg(long, hide = true, default_value = publish::SITE)]
        site: PathBuf,
    },
}

/// sysexits(3): EX_CONFIG.
const BAD_SETTING: u8 = 78;

fn main() -> ExitCode {
    if let Err(error) = server::signals::install() {
        return fail(1, error);
    }
    let command = Cli::parse().command;
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(error) => return fail(BAD_SETTING, error),
    };
    let done = match command {
        Command::Serve => {
            telemetry::logs::install(&settings.log);
            server::production::serve(settings).map_err(|error| error.to_string())
        }
        Command::Healthcheck => block_on(commands::healthcheck::run(&settings)),
        Command::Init { root } => init::run(&settings, &root).map_err(|error| error.to_string()),
        Command::Publish { activate, release, site } => {
            publish::run(&release, &site, activate).map_err(|error| error.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(work)
}

fn fail(code: u8, error: impl Display) -> ExitCode {
    eprintln!("roadstead: {error}");
    ExitCode::from(code)
}
