//! Files that are there whole or not at all, for the eyes of the right users only.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};

use super::{
    InitError,
    layout::{INIT, SecretFile, VOLUMES, Volume},
};

/// The volumes, held alone until dropped.
pub struct Store<'a> {
    root: &'a Path,
    /// Whether each file is given to the group that reads it.
    groups: bool,
    _lock: File,
}

impl<'a> Store<'a> {
    /// Looks at all volumes before anything is written to one of them.
    pub fn open(root: &'a Path, groups: bool) -> Result<Self, InitError> {
        for volume in VOLUMES {
            check_volume(volume, root)?;
        }
        let path = INIT.path(root).join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(|error| InitError::File(path.display().to_string(), error))?;
        let store = Self { root, groups, _lock: lock };
        for volume in VOLUMES {
            let directory = File::open(volume.path(root));
            directory
                .and_then(|directory| store.give(&directory, volume, volume.directory_mode))
                .map_err(|error| owner_error(volume.name.into(), volume, error))?;
        }
        Ok(store)
    }

    /// An empty file counts as none. What is there gets its proper mode and group.
    pub fn read(&self, file: SecretFile) -> Result<Option<String>, InitError> {
        let path = file.path(self.root);
        let text = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => return Ok(None),
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(InitError::Unreadable(file, error)),
        };
        let owned = fs::metadata(&path).is_ok_and(|found| found.uid() == geteuid().as_raw());
        if !owned {
            // Copied in by another user; only an owner may set mode and group.
            self.write(file, &text)?;
        } else {
            File::open(&path)
                .and_then(|open| self.give(&open, file.volume, file.volume.file_mode))
                .map_err(|error| owner_error(file.to_string(), file.volume, error))?;
        }
        Ok(Some(text))
    }

    /// Replaces the file in one step: whoever looks sees the old text or the new one.
    pub fn write(&self, file: SecretFile, text: &str) -> Result<(), InitError> {
        let path = file.path(self.root);
        let temporary = path.with_file_name(format!(".{}.new", file.name));
        let written = remove_if_there(&temporary)
            .and_then(|()| {
                let mut new =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
                new.write_all(text.as_bytes())?;
                self.give(&new, file.volume, file.volume.file_mode)?;
                new.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| File::open(file.volume.path(self.root))?.sync_all());
        written.map_err(|error| {
            let _ = remove_if_there(&temporary);
            owner_error(file.to_string(), file.volume, error)
        })
    }

    /// The same text as in another volume.
    pub fn copy(&self, file: SecretFile, text: &str) -> Result<(), InitError> {
        if self.read(file)?.as_deref() == Some(text) {
            println!("kept {file}");
        } else {
            self.write(file, text)?;
            println!("made {file}");
        }
        Ok(())
    }

    fn give(&self, open: &File, volume: &Volume, mode: u32) -> io::Result<()> {
        let found = open.metadata()?;
        if self.groups && found.gid() != volume.group {
            fchown(open, None, Some(volume.group))?;
        }
        if found.mode() & 0o7777 != mode {
            open.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

fn check_volume(volume: &Volume, root: &Path) -> Result<(), InitError> {
    let path = volume.path(root);
    if !path.is_dir() {
        return Err(InitError::NotMounted(volume.name, path));
    }
    access(&path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| InitError::NotWritable(volume.name, path, error.into()))
}

fn owner_error(what: String, volume: &Volume, error: io::Error) -> InitError {
    match error.kind() {
        ErrorKind::PermissionDenied => InitError::Group(what, volume.group, error),
        _ => InitError::File(what, error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
