//! A PostgreSQL of one's own, from the programs installed on this machine, for `roadstead dev` and
//! the tests. It listens on a unix socket only, in a folder that nobody else can enter, and is gone
//! together with us, however we end.

mod binaries;
mod folder;
mod server;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rustix::process::{Signal, geteuid};

use self::{folder::Folder, server::Server};
use crate::config::Database;

/// The roles and the database that the stack's own PostgreSQL has. A blank line ends a statement.
const CLUSTER: &str = "CREATE ROLE roadstead_owner LOGIN;\n\n\
                       CREATE ROLE roadstead_app LOGIN;\n\n\
                       CREATE DATABASE roadstead OWNER roadstead_owner;\n\n";

/// Nothing here outlives a power cut, so nothing has to reach the disk.
const SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "max_wal_size=128MB",
    "jit=off",
];

#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    #[error(
        "this machine has no PostgreSQL to start. Install it:\n    {0}\nor name one that is there: \
         ROADSTEAD_DATABASE__HOST"
    )]
    Missing(String),
    #[error("PostgreSQL as root needs a user `postgres` or `nobody` to run as, and there is none")]
    NoAccount,
    #[error("cannot {what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{program} failed:\n{output}")]
    Failed { program: &'static str, output: String },
}

/// A cluster with the roles `postgres` (superuser), `roadstead_owner` and `roadstead_app`, and the
/// database `roadstead`. Dropped, it is removed.
pub struct Throwaway {
    programs: Programs,
    folder: Folder,
    /// Beyond `SETTINGS`.
    settings: Vec<String>,
    server: Option<Server>,
}

impl Throwaway {
    /// Makes a cluster and starts its server: about a second. `settings` are like `ssl=on`.
    pub fn start(settings: &[&str]) -> Result<Self, ThrowawayError> {
        let programs = Programs::find()?;
        let folder = Folder::create(programs.account)?;
        let data = folder.data();
        let initdb =
            ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "-U", "postgres"];
        programs.run("initdb", initdb.into_iter().chain(["-D", path(&data)]), &folder, "")?;
        let single = ["--single", "-j", "-D", path(&data), "postgres"];
        programs.run("postgres", single, &folder, CLUSTER)?;
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut made = Self { programs, folder, settings, server: None };
        made.resume()?;
        Ok(made)
    }

    /// How to reach a database in it.
    pub fn database(&self, name: &str, user: &str) -> Database {
        Database {
            host: path(&self.folder.path).to_owned(),
            name: name.into(),
            user: user.into(),
            ..Database::default()
        }
    }

    /// As `docker stop` does: ends every connection, then writes its last checkpoint.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Signal::INT);
        }
    }

    /// Starts it again, with all its data.
    pub fn resume(&mut self) -> Result<(), ThrowawayError> {
        let log = self.folder.path.join("log");
        let out = File::create(&log).map_err(because(format!("write {}", log.display())))?;
        let mut command = self.programs.command("postgres", &self.folder);
        command.args(["-D", path(&self.folder.data()), "-k", path(&self.folder.path)]);
        for setting in SETTINGS.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(out);
        // Else an interrupt from the keyboard would reach it before us.
        command.process_group(0);
        let status = self.folder.data().join("postmaster.pid");
        let server = Server::start(command, &self.folder.lock, status);
        let server = server.map_err(|error| match error {
            Some(error) => ThrowawayError::Io { what: "start postgres".into(), error },
            None => ThrowawayError::Failed {
                program: "postgres",
                output: fs::read_to_string(&log).unwrap_or_default(),
            },
        });
        self.server = Some(server?);
        Ok(())
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(Signal::QUIT);
        }
    }
}

/// User and group to become: PostgreSQL refuses to run as root.
type Account = (u32, u32);

struct Programs {
    folder: PathBuf,
    account: Option<Account>,
}

impl Programs {
    fn find() -> Result<Self, ThrowawayError> {
        let folder =
            binaries::find().ok_or_else(|| ThrowawayError::Missing(binaries::how_to_install()))?;
        let account = match geteuid().is_root() {
            true => Some(unprivileged_account().ok_or(ThrowawayError::NoAccount)?),
            false => None,
        };
        Ok(Self { folder, account })
    }

    fn command(&self, program: &str, folder: &Folder) -> Command {
        let mut command = Command::new(self.folder.join(program));
        // No PGDATA, PGPORT or LC_ of the person's.
        command.env_clear().current_dir(&folder.path).stdin(Stdio::null());
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn run<'a>(
        &self,
        program: &'static str,
        arguments: impl IntoIterator<Item = &'a str>,
        folder: &Folder,
        input: &str,
    ) -> Result<(), ThrowawayError> {
        let mut command = self.command(program, folder);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let done = output(command, input).map_err(because(format!("run {program}")))?;
        if done.status.success() {
            return Ok(());
        }
        let output = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(ThrowawayError::Failed { program, output })
    }
}

fn output(mut command: Command, input: &str) -> io::Result<Output> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

fn unprivileged_account() -> Option<Account> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let fields: Vec<&str> = accounts
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|f| f[0] == *name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

fn because(what: String) -> impl FnOnce(io::Error) -> ThrowawayError {
    move |error| ThrowawayError::Io { what, error }
}
