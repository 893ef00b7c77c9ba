//! The process of a throwaway server.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const START: Duration = Duration::from_secs(30);

pub(super) struct Server {
    signal: mpsc::Sender<Signal>,
    thread: JoinHandle<()>,
}

impl Server {
    /// On a thread of its own: the kernel's "parent" is the thread that began the child, and the
    /// child dies with it. An error without a cause: see its log.
    pub fn start(
        mut command: Command,
        lock: &File,
        status: PathBuf,
    ) -> Result<Self, Option<io::Error>> {
        die_with_us(&mut command, lock);
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

    pub fn stop(self, signal: Signal) {
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

/// The server gets QUIT when we end, by KILL too, and holds our lock until it has ended.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "between fork and exec there are only system calls, nothing allocates"
)]
fn die_with_us(command: &mut Command, lock: &File) {
    use std::os::{
        fd::{AsRawFd as _, BorrowedFd},
        unix::process::CommandExt as _,
    };

    let us = rustix::process::getpid();
    let lock = lock.as_raw_fd();
    let before_exec = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::QUIT))?;
        if rustix::process::getppid() != Some(us) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // SAFETY: the folder outlives `start`, and the child has its own copy.
        let lock = unsafe { BorrowedFd::borrow_raw(lock) };
        Ok(rustix::io::fcntl_setfd(lock, rustix::io::FdFlags::empty())?)
    };
    // SAFETY: see the reason above.
    unsafe { command.pre_exec(before_exec) };
}

/// Other kernels know no such signal: there a server outlives a KILL.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command, _: &File) {}
