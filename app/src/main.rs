//! The command line.

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use roadstead::{
    commands::{check, healthcheck, init, keys, migrate, publish, text, user},
    config::Settings,
    db::migrate::REQUIRED,
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
    /// Make what is missing in the five secret volumes; no key or password is ever replaced without being told to
    Init {
        /// Where the volumes are mounted, or a folder with five folders in it to try this in
        #[arg(long, default_value = init::layout::ROOT, global = true)]
        root: PathBuf,
        #[command(subcommand)]
        command: Option<init::rotate::InitCommand>,
    },
    /// Bring the schema up to date, as its owner (ROADSTEAD_DATABASE__USER)
    Migrate {
        /// Change nothing, and say what would be applied. Exit status: 0 all is well; 3 the schema has
        /// gone past this program; 4 its history is another; 5 a step would break the release that runs
        #[arg(long)]
        check: bool,
        /// With --check: what the release that runs requires (its `migrate --requires`)
        #[arg(long, value_name = "VERSION", requires = "check")]
        running: Option<i32>,
        /// Print the version of the schema that this program requires
        #[arg(long, conflicts_with = "check")]
        requires: bool,
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
    /// Invite, create, list and disable accounts
    #[command(subcommand)]
    User(user::UserCommand),
    /// List, rotate and revoke the keys that sign access tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look for what is wrong, or will be, with how the stack is set up; each with its cure. Exit status:
    /// 0 nothing at or above the fail level; 1 there is; 78 a wrong setting
    Check(check::Options),
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
        Command::Migrate { requires: true, .. } => {
            println!("{}", REQUIRED);
            Ok(())
        }
        Command::Migrate { check: true, running, .. } => {
            return block_on(migrate::check(&settings, running))
                .unwrap_or_else(|error| fail(1, error));
        }
        Command::Check(options) => {
            return block_on(check::run(&settings, &options))
                .unwrap_or_else(|error| fail(1, error));
        }
        Command::Serve => {
            telemetry::logs::install(&settings.log);
            server::production::serve(settings).map_err(text)
        }
        Command::Dev(options) => server::dev::run(settings, &options).map_err(text),
        Command::DevServe => {
            telemetry::logs::install(&settings.log);
            server::dev::serve(settings).map_err(text)
        }
        Command::Init { root, command: None } => init::run(&settings, &root).map_err(text),
        Command::Init { root, command: Some(command) } => {
            init::rotate::run(&root, command).map_err(text)
        }
        Command::Migrate { .. } => {
            telemetry::logs::install(&settings.log);
            block_on(migrate::run(&settings))
        }
        Command::Publish { activate, release, site } => {
            publish::run(&release, &site, activate).map_err(text)
        }
        Command::User(command) => block_on(user::run(&settings, command)),
        Command::Keys(command) => block_on(keys::run(&settings, command)),
        Command::Healthcheck => block_on(healthcheck::run(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?.block_on(work)
}

fn fail(code: u8, error: impl Display) -> ExitCode {
    eprintln!("roadstead: {error}");
    ExitCode::from(code)
}
