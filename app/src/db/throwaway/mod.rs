//! A PostgreSQL of one's own, from the programs installed on this machine, for `roadstead dev` and the tests. It listens
//! on a unix socket only, in a folder that nobody else can enter, and is gone together with us, however we end.

mod binaries;

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::{
            fs::{DirBuilderExt as _, MetadataExt as _, chown},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    io::FdFlags,
    process::{Pid, Signal, geteuid, getpid, getppid, kill_process},
};

use crate::config::Database;

const PREFIX: &str = "roadstead-pg.";
const START: Duration = Duration::from_secs(30);

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
        "this machine has no PostgreSQL to start. Install it:\n    {0}\nor name a database that is there: ROADSTEAD_DATABASE__HOST"
    )]
    Missing(String),
    #[error("PostgreSQL as root needs a user `postgres` or `nobody` to run as, and there is none")]
    NoAccount,
    #[error("cannot {what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{program} failed:\n{output}")]
    Failed { program: &'static str, output: String },
}

/// A cluster with the roles `postgres` (superuser), `roadstead_owner` and `roadstead_app`, and the database `roadstead`.
/// Dropped, it is removed.
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
        die_with_us(&mut command, &self.folder.lock);
        let server = Server::start(command, self.folder.data().join("postmaster.pid"));
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
        self.folder.remove();
    }
}

struct Programs {
    folder: PathBuf,
    /// For root, as whom PostgreSQL refuses to run: user and group to become.
    account: Option<(u32, u32)>,
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

/// Data, socket and log. Whoever holds the lock beside it lives; what nobody holds is left over, and is removed.
struct Folder {
    path: PathBuf,
    lock: File,
    lock_path: PathBuf,
}

impl Folder {
    fn create(account: Option<(u32, u32)>) -> Result<Self, ThrowawayError> {
        let parent = short_temporary_folder();
        sweep(&parent, account);
        for number in 0.. {
            let path = parent.join(format!("{PREFIX}{}.{number}", std::process::id()));
            let lock_path = path.with_added_extension("lock");
            match make(&path, &lock_path, account) {
                Ok(lock) => return Ok(Self { path, lock, lock_path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(because(format!("make {}", path.display()))(error)),
            }
        }
        unreachable!("the numbers do not run out")
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn make(path: &Path, lock_path: &Path, account: Option<(u32, u32)>) -> io::Result<File> {
    let lock = File::create_new(lock_path)?;
    lock.try_lock()?;
    // Another one's sweep was faster.
    if lock.metadata()?.nlink() == 0 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    DirBuilder::new().mode(0o700).create(path)?;
    if let Some((user, group)) = account {
        chown(path, Some(user), Some(group))?;
    }
    Ok(lock)
}

fn sweep(parent: &Path, account: Option<(u32, u32)>) {
    let owner = account.map_or(geteuid().as_raw(), |(user, _)| user);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let lock_path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) || !name.ends_with(".lock") {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else {
            continue;
        };
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            continue;
        }
        let folder = lock_path.with_extension("");
        match fs::symlink_metadata(&folder) {
            Ok(about) if about.uid() != owner => continue,
            Ok(_) => drop(fs::remove_dir_all(&folder)),
            Err(_) => {}
        }
        let _ = fs::remove_file(&lock_path);
    }
}

struct Server {
    signal: mpsc::Sender<Signal>,
    thread: JoinHandle<()>,
}

impl Server {
    /// On a thread of its own: the kernel's "parent" is the thread that began the child, and the child dies with it.
    /// An error without a cause: see its log.
    fn start(mut command: Command, status: PathBuf) -> Result<Self, Option<io::Error>> {
        let (ready, is_ready) = mpsc::sync_channel(1);
        let (signal, signals) = mpsc::channel();
        let keep = move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(ready.send(Err(Some(error)))),
            };
            let is_up = wait_until_ready(&mut child, &status);
            let _ = ready.send(if is_up { Ok(()) } else { Err(None) });
            let signal = match is_up {
                true => signals.recv().unwrap_or(Signal::QUIT),
                false => Signal::QUIT,
            };
            let _ = kill_process(Pid::from_child(&child), signal);
            let _ = child.wait();
        };
        let thread =
            thread::Builder::new().name("throwaway-postgres".into()).spawn(keep).map_err(Some)?;
        is_ready.recv().expect("the thread sends one word")?;
        Ok(Self { signal, thread })
    }

    fn stop(self, signal: Signal) {
        let _ = self.signal.send(signal);
        let _ = self.thread.join();
    }
}

/// PostgreSQL writes its state into the last line of `postmaster.pid`.
fn wait_until_ready(child: &mut Child, status: &Path) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < START && matches!(child.try_wait(), Ok(None)) {
        let text = fs::read_to_string(status).unwrap_or_default();
        if text.lines().nth(7).is_some_and(|state| state.trim() == "ready")
            && text.lines().next() == Some(&child.id().to_string())
        {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Where the kernel can (Linux), the server gets QUIT when we end, by KILL too, and holds our lock until it has ended.
#[expect(
    unsafe_code,
    reason = "between fork and exec there are only system calls, nothing allocates"
)]
fn die_with_us(command: &mut Command, lock: &File) {
    let us = getpid();
    let lock = lock.as_raw_fd();
    let before_exec = move || {
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_parent_process_death_signal(Some(Signal::QUIT))?;
            if getppid() != Some(us) {
                return Err(io::ErrorKind::NotFound.into());
            }
            // SAFETY: our `Folder` outlives the call of `spawn`, and the child has a copy.
            let lock = unsafe { BorrowedFd::borrow_raw(lock) };
            rustix::io::fcntl_setfd(lock, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: see the reason above.
    unsafe { command.pre_exec(before_exec) };
}

fn unprivileged_account() -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let fields: Vec<&str> = accounts
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|f| f[0] == *name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

/// A socket's path has room for about a hundred bytes.
fn short_temporary_folder() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().len() <= 60 { folder } else { "/tmp".into() }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

fn because(what: String) -> impl FnOnce(io::Error) -> ThrowawayError {
    move |error| ThrowawayError::Io { what, error }
}
