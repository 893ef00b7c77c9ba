//! `roadstead publish [--activate]`: brings the image's pages and assets into the site volume.
//!
//! A release is one directory named by its digest. It appears whole or not at all, older ones stay
//! for the browsers that still show them, and `current` says which one's pages are served.

#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Where the image keeps its release, and where the volume is mounted.
pub const RELEASE: &str = "/release";
pub const SITE: &str = "/srv/site";

/// So many stay besides the current one.
const KEPT: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("{path} must hold exactly one directory, named by 16 hex digits", path = .0.display())]
    NoRelease(PathBuf),
    #[error(
        "volume site cannot be written at {path}: {1}; mount it read-write, owned by uid {uid}",
        path = .0.display(), uid = rustix::process::geteuid().as_raw()
    )]
    NotWritable(PathBuf, #[source] io::Error),
    #[error("{what} {path}: {source}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
}

/// Says which file an error is about.
trait At<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, PublishError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, PublishError> {
        self.map_err(|source| PublishError::File { what, path: path.into(), source })
    }
}

/// Prints the digest, alone on standard output, for scripts.
pub fn run(release: &Path, site: &Path, activate: bool) -> Result<(), PublishError> {
    let digest = find_release(release)?;
    let _alone = File::create(site.join(".lock"))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| PublishError::NotWritable(site.into(), error))?;

    let releases = site.join("releases");
    fs::create_dir_all(&releases).at("cannot make", &releases)?;
    // What an interrupted run left behind.
    let incoming = releases.join(".incoming");
    let outgoing = releases.join(".outgoing");
    remove_all(&incoming)?;
    remove_all(&outgoing)?;

    let published = releases.join(&digest);
    if published.is_dir() {
        // The newest again: `prune` counts by this.
        File::open(&published)
            .and_then(|directory| directory.set_modified(SystemTime::now()))
            .at("cannot touch", &published)?;
        eprintln!("release {digest} is there already");
    } else {
        let copied = copy(&release.join(&digest), &incoming, release_time(&digest))
            .and_then(|()| fs::rename(&incoming, &published).at("cannot write", &published))
            .and_then(|()| sync(&releases));
        if copied.is_err() {
            let _ = remove_all(&incoming);
        }
        copied?;
        eprintln!("release {digest} published");
    }
    if activate {
        point_current_at(site, &digest)?;
    }
    prune(site, &releases, &digest, &outgoing)?;
    println!("{digest}");
    Ok(())
}

fn find_release(folder: &Path) -> Result<String, PublishError> {
    let none = || PublishError::NoRelease(folder.into());
    let names: Vec<_> = fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<_>>)
        .at("cannot read", folder)?;
    let [only] = names.as_slice() else {
        return Err(none());
    };
    let digest = only.file_name().into_string().map_err(|_| none())?;
    let named_well =
        digest.len() == 16 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match named_well && only.path().is_dir() {
        true => Ok(digest),
        false => Err(none()),
    }
}

/// nginx makes a page's ETag from its size and the second of its last change, and two releases'
/// pages often have one size: they differ in the digest alone. So the time says which release it is;
/// it is the same on every node, and for a file and its `.gz` and `.br`.
fn release_time(digest: &str) -> SystemTime {
    let number = u64::from_str_radix(digest, 16).unwrap_or_default();
    // Always in the past: 2001 to 2018.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + (number >> 35))
}

fn copy(from: &Path, to: &Path, time: SystemTime) -> Result<(), PublishError> {
    fs::create_dir(to).at("cannot make", to)?;
    for entry in fs::read_dir(from).at("cannot read", from)? {
        let entry = entry.at("cannot read", from)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to, time)?;
            continue;
        }
        copy_file(&from, &to, time).at("cannot write", &to)?;
    }
    sync(to)
}

/// Not `fs::copy`, which takes the mode along too.
fn copy_file(from: &Path, to: &Path, time: SystemTime) -> io::Result<()> {
    let mut copy = File::create_new(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.set_modified(time)?;
    copy.sync_all()
}

fn point_current_at(site: &Path, digest: &str) -> Result<(), PublishError> {
    let current = site.join("current");
    let target = Path::new("releases").join(digest);
    if fs::read_link(&current).is_ok_and(|now| now == target) {
        eprintln!("release {digest} is the current one already");
        return Ok(());
    }
    let next = site.join(".current.next");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => symlink(&target, &next),
    }
    .and_then(|()| fs::rename(&next, &current))
    .at("cannot set", &current)?;
    eprintln!("release {digest} is the current one now");
    sync(site)
}

/// Keeps the current release, the one just published, and the newest of the others.
fn prune(site: &Path, releases: &Path, digest: &str, outgoing: &Path) -> Result<(), PublishError> {
    let current = fs::read_link(site.join("current")).unwrap_or_default();
    let mut others = Vec::new();
    for entry in fs::read_dir(releases).at("cannot read", releases)? {
        let entry = entry.at("cannot read", releases)?;
        let path = entry.path();
        if Some(entry.file_name().as_os_str()) != current.file_name() {
            let newest_first = std::cmp::Reverse(modified(&path)?);
            let just_published = entry.file_name() == OsStr::new(digest);
            others.push((!just_published, newest_first, path));
        }
    }
    others.sort();
    for (.., old) in others.iter().skip(KEPT) {
        // Gone in one step: a release that is there must be whole.
        fs::rename(old, outgoing).at("cannot remove", old)?;
        remove_all(outgoing)?;
        eprintln!("release {} removed", old.file_name().unwrap_or_default().display());
    }
    Ok(())
}

fn modified(path: &Path) -> Result<SystemTime, PublishError> {
    fs::metadata(path).and_then(|found| found.modified()).at("cannot read", path)
}

fn remove_all(path: &Path) -> Result<(), PublishError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
    .at("cannot remove", path)
}

fn sync(directory: &Path) -> Result<(), PublishError> {
    File::open(directory).and_then(|directory| directory.sync_all()).at("cannot sync", directory)
}
