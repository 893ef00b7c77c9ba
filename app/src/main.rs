//! The command line.

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use roadstead::{
    commands::{healthcheck, init, migrate, publish, text, user},
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
    /// Serve pages and API from one thread, for development: needs no database and no setting
    Dev(server::dev::Options),
    /// The part of `dev` that answers
    #[command(hide = true)]
    DevServe,
    /// Make what is missing in the five secret volumes; no key or password is ever replaced
    Init {
        /// Where the volumes are mounted, or a folder with five folders in it to try this in
        #[arg(long, default_value = init::layout::ROOT)]
        root: PathBuf,
    },
    /// Bring the schema up to date, as its owner (ROADSTEAD_DATABASE__USER)
    Migrate,
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
    /// Invite, create, list and disable accounts
    #[command(subcommand)]
    User(user::UserCommand),
    /// Exit 0 when this slot's own process is ready
    Healthcheck,
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
            server::production::serve(settings).map_err(text)
        }
        Command::Dev(options) => server::dev::run(settings, &options).map_err(text),
        Command::DevServe => {
            telemetry::logs::install(&settings.log);
            server::dev::serve(settings).map_err(text)
        }
        Command::Init { root } => init::run(&settings, &root).map_err(text),
        Command::Migrate => {
            telemetry::logs::install(&settings.log);
            block_on(migrate::run(&settings))
        }
        Command::Publish { activate, release, site } => {
            publish::run(&release, &site, activate).map_err(text)
        }
        Command::User(command) => block_on(user::run(&settings, command)),
        Command::Healthcheck => block_on(healthcheck::run(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn block_on(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?.block_on(work)
}

fn fail(code: u8, error: impl Display) -> ExitCode {
    eprintln!("roadstead: {error}");
    ExitCode::from(code)
}
