//! A slot's files in the socket directory, and who may touch which.
//!
//! | name | what |
//! |---|---|
//! | `blue.sock` | what nginx connects to: the slot's socket, or after a hand-over a symlink to its sibling's |
//! | `blue.sock.<instance>` | the same socket by a name of its own, for as long as the process lives |
//! | `blue.lock` | locked by the one process that fills the slot; holds its instance |
//! | `handover.lock` | locked while a slot points its name at its sibling, so that two cannot point at each other |

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use super::probe;
use crate::config::Slot;

/// nginx may have this many connections waiting; a full queue is an instant 502.
const BACKLOG: i32 = 4096;
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

pub struct SlotSocket {
    dir: PathBuf,
    slot: Slot,
    instance: String,
    /// Held for life.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    #[error("another process serves slot {0} already (it holds {1}); end that one first")]
    Taken(Slot, PathBuf),
    #[error("{0}: {1}; the socket directory (ROADSTEAD_SOCKET_DIR) must be writable for the app")]
    Io(PathBuf, #[source] io::Error),
}

/// What the sibling's name leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Sibling {
    /// Answers as itself and is not about to end.
    Serving,
    /// Answers as itself, and is ending.
    Draining,
    /// Somebody else answers there: its name is a symlink.
    Elsewhere,
    /// Has no name: it has ended, or never was.
    Gone,
    /// Has a name that nobody listens at: it was killed.
    Dead,
    /// Does not answer in time, or not with sense.
    Silent,
}

impl SlotSocket {
    /// Takes the slot, and binds its socket without publishing it.
    pub fn claim(
        dir: &Path,
        slot: Slot,
        instance: &str,
    ) -> Result<(Self, UnixListener), SlotError> {
        let path = lock_path(dir, slot);
        let claim = || -> io::Result<Option<File>> {
            let mut lock =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                locked => locked?,
            }
            // In place: on a full disk there is room for what was there.
            lock.write_all(instance.as_bytes())?;
            lock.set_len(instance.len() as u64)?;
            Ok(Some(lock))
        };
        let lock = claim()
            .map_err(|error| SlotError::Io(path.clone(), error))?
            .ok_or_else(|| SlotError::Taken(slot, path.clone()))?;
        let socket = Self { dir: dir.to_owned(), slot, instance: instance.to_owned(), _lock: lock };
        let own = socket.own();
        let listener = socket.bind().map_err(|error| SlotError::Io(own, error))?;
        Ok((socket, listener))
    }

    fn bind(&self) -> io::Result<UnixListener> {
        // Whatever earlier holders of the lock left behind is nobody's.
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!("{}.sock.", self.slot)) {
                fs::remove_file(path)?;
            }
        }
        let own = self.own();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(&own)?)?;
        // Connecting needs the right to write: nginx is in the group.
        fs::set_permissions(&own, fs::Permissions::from_mode(0o660))?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }

    /// From now on nginx finds this process under the slot's name.
    pub fn publish(&self) -> io::Result<()> {
        let fresh = self.temporary();
        fs::hard_link(self.own(), &fresh)?;
        // Renaming one hard link over another of the same file does nothing and leaves both.
        let renamed = fs::rename(&fresh, self.name());
        let _ = fs::remove_file(&fresh);
        renamed
    }

    /// Whether the slot's name leads to this process.
    pub fn is_published(&self) -> bool {
        let inode = |path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()));
        matches!((inode(self.name()), inode(self.own())), (Ok(name), Ok(own)) if name == own)
    }

    /// Takes the slot's name away, unless it leads elsewhere by now.
    pub fn withdraw(&self) {
        if self.is_published() {
            let _ = fs::remove_file(self.name());
        }
    }

    /// Points the slot's name at its sibling, if that one is there to take over.
    pub async fn hand_over(&self) -> io::Result<Sibling> {
        let _lock = self.lock_handover().await?;
        let sibling = self.sibling().await;
        if sibling == Sibling::Serving {
            let fresh = self.temporary();
            // Relative: nginx sees the directory under the same name, a test need not.
            symlink(format!("{}.sock", self.slot.sibling()), &fresh)?;
            if let Err(error) = fs::rename(&fresh, self.name()) {
                let _ = fs::remove_file(&fresh);
                return Err(error);
            }
        }
        Ok(sibling)
    }

    pub async fn sibling(&self) -> Sibling {
        let sibling = self.slot.sibling();
        match probe::ask(&name(&self.dir, sibling), PROBE_PATIENCE).await {
            Ok(answer) if answer.slot.as_deref() != Some(&sibling.to_string()) => {
                Sibling::Elsewhere
            }
            Ok(answer) if answer.is_draining() => Sibling::Draining,
            Ok(_) => Sibling::Serving,
            Err(error) => match rustix::io::Errno::from_io_error(&error) {
                Some(rustix::io::Errno::NOENT) => Sibling::Gone,
                // ELOOP: two names that point at each other lead to nobody.
                Some(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::LOOP) => Sibling::Dead,
                _ => Sibling::Silent,
            },
        }
    }

    async fn lock_handover(&self) -> io::Result<File> {
        let path = self.dir.join("handover.lock");
        let lock = File::options().write(true).create(true).truncate(false).open(path)?;
        // The other one holds it for a probe and a rename.
        for _ in 0..200 {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    tokio::time::sleep(Duration::from_millis(10)).await
                }
                locked => return locked.map(|()| lock).map_err(Into::into),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn name(&self) -> PathBuf {
        name(&self.dir, self.slot)
    }

    fn own(&self) -> PathBuf {
        own(&self.dir, self.slot, &self.instance)
    }

    fn temporary(&self) -> PathBuf {
        self.dir.join(format!("{}.sock.new-{}", self.slot, self.instance))
    }
}

impl Drop for SlotSocket {
    fn drop(&mut self) {
        self.withdraw();
        let _ = fs::remove_file(self.own());
    }
}

/// Asks the process that holds the slot, and no other, how it is: by its own socket, since the
/// slot's name may lead to the sibling.
pub async fn ask_holder(dir: &Path, slot: Slot) -> Result<probe::Answer, String> {
    let path = lock_path(dir, slot);
    let mut instance = String::new();
    File::open(&path).and_then(|mut file| file.read_to_string(&mut instance)).map_err(|error| {
        format!("no process has ever held slot {slot} ({}: {error})", path.display())
    })?;
    let answer = probe::ask(&own(dir, slot, &instance), Duration::from_secs(2))
        .await
        .map_err(|error| format!("slot {slot} does not answer: {error}"))?;
    if answer.instance != instance {
        return Err(format!("slot {slot}: another process answers"));
    }
    Ok(answer)
}

fn name(dir: &Path, slot: Slot) -> PathBuf {
    dir.join(format!("{slot}.sock"))
}

fn own(dir: &Path, slot: Slot, instance: &str) -> PathBuf {
    dir.join(format!("{slot}.sock.{instance}"))
}

fn lock_path(dir: &Path, slot: Slot) -> PathBuf {
    dir.join(format!("{slot}.lock"))
}
