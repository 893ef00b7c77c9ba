//! A slot: the very binary that ships, as a child process.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

pub const BINARY: &str = env!("CARGO_BIN_EXE_roadstead");

/// A command with nothing of the caller's settings in its environment.
pub fn roadstead(command: &str) -> Command {
    let mut roadstead = Command::new(BINARY);
    roadstead.arg(command).env_clear().stdin(Stdio::null());
    roadstead
}

pub struct Slot {
    child: Child,
    pub socket: PathBuf,
    log: PathBuf,
}

impl Slot {
    /// Starts `roadstead serve` without waiting for it.
    pub fn start(dir: &Path, slot: &str, settings: &[(String, String)]) -> Self {
        let log = dir.join(format!("{slot}.log"));
        let file = File::options().append(true).create(true).open(&log).unwrap();
        let child = roadstead("serve")
            .env("ROADSTEAD_SLOT", slot)
            .env("ROADSTEAD_SOCKET_DIR", dir)
            .env("ROADSTEAD_WORKERS", "2")
            .env("ROADSTEAD_SERVER__DRILL", "true")
            .envs(settings.iter().cloned())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, socket: dir.join(format!("{slot}.sock")), log }
    }

    /// The same, and waits until it says that it is ready.
    pub fn ready(dir: &Path, slot: &str, settings: &[(String, String)]) -> Self {
        // A process that filled this slot before said so too.
        let said = |log: &Path| {
            std::fs::read_to_string(log)
                .map_or(0, |log| log.matches(r#""message":"ready""#).count())
        };
        let before = said(&dir.join(format!("{slot}.log")));
        let started = Self::start(dir, slot, settings);
        started.wait_for(|slot| said(&slot.log) > before);
        started
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn wait_for(&self, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "waited 30 s in vain; the log says:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn term(&self) {
        self.signal(Signal::TERM);
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits for the end.
    pub fn end(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still there after {within:?}:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code, with a signal as the shell shows it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap()
}
