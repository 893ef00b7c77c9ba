//! Where a throwaway cluster lives, and how it does not stay.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::{Account, ThrowawayError, because};

const PREFIX: &str = "roadstead-pg.";

/// Data, socket and log. Whoever holds the lock beside it lives; what nobody holds is left over,
/// and is removed.
pub(super) struct Folder {
    pub path: PathBuf,
    pub lock: File,
    lock_path: PathBuf,
}

impl Folder {
    pub fn create(account: Option<Account>) -> Result<Self, ThrowawayError> {
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

    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn make(path: &Path, lock_path: &Path, account: Option<Account>) -> io::Result<File> {
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

/// Of those who were killed.
fn sweep(parent: &Path, account: Option<Account>) {
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

/// A socket's path has room for about a hundred bytes.
fn short_temporary_folder() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().len() <= 60 { folder } else { "/tmp".into() }
}
