//! `roadstead dev`: the single-threaded development server. One thread, one request at a time, pages
//! straight from `static/`, a throwaway PostgreSQL, and a new start when the source changes.
//!
//! Two processes: this one holds the socket and the database and watches the source; its child
//! (`serve`) answers. So a restart refuses no connection.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    life::{Life, Phase},
    signals,
};
use crate::{
    auth::secret::{encode, random},
    config::{Auth, HIGHEST_SIGN_IN_LIMIT, Settings},
    db::throwaway::ThrowawayError,
};
use database::{EMAIL, Prepared, prepare};

mod database;
mod pages;
mod serve;
mod watch;

pub use pages::{POLICY, Pages, STREAM, routes};
pub use serve::serve;

/// Variables by which the child learns what this process made.
const STATIC: &str = "ROADSTEAD_DEV_STATIC";
const ORIGIN: &str = "ROADSTEAD_DEV_ORIGIN";
const SIGN_IN: &str = "ROADSTEAD_DEV_SIGN_IN";

const LIMIT: &str = "ROADSTEAD_AUTH__SIGN_IN_LIMIT";

#[derive(clap::Args)]
pub struct Options {
    /// Where to listen: an address of this machine that others do not reach
    #[arg(long, default_value = "127.0.0.1:8000", conflicts_with = "socket")]
    listen: SocketAddr,
    /// Listen on a unix socket instead, so that a proxy can be put in front
    #[arg(long)]
    socket: Option<PathBuf>,
    /// The pages
    #[arg(long = "static", default_value = "static")]
    pages: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error(
        "{0} is not for the development server; production is `roadstead serve`, or scripts/up.sh"
    )]
    Production(&'static str),
    #[error(
        "--listen {0}: others can reach this address, and the development server is not made for that; production is scripts/up.sh"
    )]
    Public(SocketAddr),
    #[error("--static {0}: there is no index.html; start it at the top of the repository")]
    NoPages(PathBuf),
    #[error("cannot listen on {0}: {1}; another program may have it, choose another with --listen")]
    Taken(String, #[source] io::Error),
    #[error(transparent)]
    Throwaway(#[from] ThrowawayError),
    #[error("{0}")]
    Database(String),
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
}

/// What wakes this process.
enum Event {
    Changed,
    Signal,
}

pub fn run(settings: Settings, options: &Options) -> Result<(), DevError> {
    let life = Life::new();
    refuse_production(&settings, options)?;
    let (listener, origin) = listen(options)?;
    let (events, woken) = mpsc::channel();
    // After `Ready` a signal is an event, and there is time to clear up.
    life.enter(Phase::Ready);
    signals::drain_on_signal(life.clone(), Duration::from_secs(10));
    on_signal(&life, events.clone());

    let limit = settings.auth.sign_in_limit;
    let Prepared { throwaway, password, mut variables } = prepare(settings)?;
    let sign_in = encode(&random::<16>());
    variables.extend([
        (STATIC, options.pages.display().to_string()),
        (ORIGIN, origin.clone()),
        (SIGN_IN, sign_in.clone()),
        ("ROADSTEAD_WORKERS", "1".into()),
        ("ROADSTEAD_LOG__FORMAT", "text".into()),
    ]);
    // One address signs in again and again here, unless somebody wants to see the limits.
    if limit == Auth::default().sign_in_limit {
        variables.push((LIMIT, HIGHEST_SIGN_IN_LIMIT.to_string()));
    }
    greet(&origin, &sign_in, &password, throwaway.is_some(), options);

    let source = Path::new("app/src").is_dir();
    let _watcher = source.then(|| watch::source(move || events.send(Event::Changed).is_ok()));
    let mut child = start(&listener, &variables)?;
    loop {
        match woken.recv_timeout(Duration::from_millis(500)) {
            Ok(Event::Signal) => break,
            Ok(Event::Changed) => {
                if watch::build() {
                    stop(&mut child);
                    child = start(&listener, &variables)?;
                }
            }
            Err(_) => {
                if let Ok(Some(status)) = child.try_wait() {
                    eprintln!(
                        "roadstead dev: the server ended ({status}); it starts again at the next change, or in a second"
                    );
                    std::thread::sleep(Duration::from_secs(1));
                    child = start(&listener, &variables)?;
                }
            }
        }
    }
    stop(&mut child);
    drop(throwaway);
    if let Some(path) = &options.socket {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn refuse_production(settings: &Settings, options: &Options) -> Result<(), DevError> {
    if settings.slot.is_some() {
        return Err(DevError::Production("ROADSTEAD_SLOT"));
    }
    if settings.domain != "localhost" {
        return Err(DevError::Production("ROADSTEAD_DOMAIN"));
    }
    if database::is_remote(settings) {
        return Err(DevError::Production(
            "a database of another machine (ROADSTEAD_DATABASE__HOST)",
        ));
    }
    if !options.listen.ip().is_loopback() {
        return Err(DevError::Public(options.listen));
    }
    if !options.pages.join("index.html").is_file() {
        return Err(DevError::NoPages(options.pages.clone()));
    }
    Ok(())
}

/// The socket, and the address for the browser.
fn listen(options: &Options) -> Result<(OwnedFd, String), DevError> {
    if let Some(path) = &options.socket {
        let taken = |error| DevError::Taken(path.display().to_string(), error);
        // One that nobody listens at is a leftover.
        if std::os::unix::net::UnixStream::connect(path).is_err() {
            let _ = std::fs::remove_file(path);
        }
        let listener = UnixListener::bind(path).map_err(taken)?;
        return Ok((listener.into(), "http://localhost".into()));
    }
    let taken = |error| DevError::Taken(options.listen.to_string(), error);
    let listener = TcpListener::bind(options.listen).map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((listener.into(), format!("http://{address}")))
}

fn on_signal(life: &std::sync::Arc<Life>, events: mpsc::Sender<Event>) {
    let life = life.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime without I/O").block_on(life.reached(Phase::Draining));
        let _ = events.send(Event::Signal);
    });
}

/// The program as it is on disk now, which may be newer than this one.
fn start(listener: &OwnedFd, variables: &[(&'static str, String)]) -> Result<Child, DevError> {
    let failed = |error| DevError::Io("cannot start the server", error);
    let program = std::env::args_os().next().unwrap_or_else(|| "roadstead".into());
    Command::new(program)
        .arg("dev-serve")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        // As inetd does it: the socket is the standard input.
        .stdin(Stdio::from(listener.try_clone().map_err(failed)?))
        .spawn()
        .map_err(failed)
}

fn stop(child: &mut Child) {
    if let Some(pid) = child.id().try_into().ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = child.wait();
}

fn greet(origin: &str, sign_in: &str, password: &str, throwaway: bool, options: &Options) {
    let database = if throwaway {
        "a throwaway PostgreSQL, gone at the end"
    } else {
        "as ROADSTEAD_DATABASE__HOST says"
    };
    let place =
        options.socket.as_ref().map_or(origin.to_owned(), |path| path.display().to_string());
    println!(
        "\n  Roadstead's development server\n\n    \
         pages     {place}/\n    \
         signed in {origin}/dev/sign-in?key={sign_in}\n    \
         account   {EMAIL}, password {password}\n    \
         database  {database}\n\n  \
         One thread, one request at a time. NOT for production: that is scripts/up.sh.\n  \
         It starts anew when the source changes, and reloads the page. End it with Ctrl-C.\n"
    );
}
