//! `roadstead init`: makes what is missing in the five secret volumes, and nothing else.
//!
//! A key or a password, once there, is never replaced, except by `roadstead init rotate`. A certificate is, when what it has to say
//! changed or a third of its life is left. It can be interrupted anywhere and run again, or run
//! twice at once.

pub(super) mod certificates;
mod files;
pub mod layout;
pub mod rotate;
mod secrets;
pub(super) mod site;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

use certificates::{Authority, Files};
use files::Store;
use layout::SecretFile;
use rustix::process::geteuid;
use time::{Duration, OffsetDateTime};

use crate::config::Settings;

/// The hosts that the slots and the image's own health check know the database by.
const DATABASE_NAMES: [&str; 2] = ["postgres", "localhost"];
/// No browser sees it, and PostgreSQL reads it only when it starts.
const DATABASE_LIFE: Duration = Duration::days(5 * 365);

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(
        "volume {0} is not mounted: there is no directory {path}; see service `init` in \
         docker-compose.yml",
        path = .1.display()
    )]
    NotMounted(&'static str, PathBuf),
    #[error(
        "volume {0} cannot be written at {path}: {2}; mount it read-write, owned by uid {uid}",
        path = .1.display(), uid = geteuid().as_raw()
    )]
    NotWritable(&'static str, PathBuf, #[source] io::Error),
    #[error(
        "cannot set mode and group {1} of {0}: {2}; it must belong to uid {uid}, which must be in \
         that group (`group_add` in docker-compose.yml)",
        uid = geteuid().as_raw()
    )]
    Group(String, u32, #[source] io::Error),
    #[error(
        "cannot read {0}: {1}; it must be text (PEM) that uid {uid} may read",
        uid = geteuid().as_raw()
    )]
    Unreadable(SecretFile, #[source] io::Error),
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
    #[error(
        "{0} is not a private key in PEM; put the right one back, or remove it to have a new one made"
    )]
    Key(SecretFile),
    #[error("{0} and {1} must be the same and are not; put the right one in both")]
    Differ(SecretFile, SecretFile),
    #[error("there is no {0} yet; `roadstead init` makes it")]
    Missing(SecretFile),
    #[error("{0}: {1}; put that line right, or take it out")]
    Line(SecretFile, String),
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the system gives no random numbers")]
    Random,
}

/// `root` is `layout::ROOT`, or a folder of one's own to try it in, with the five directories in it.
pub fn run(settings: &Settings, root: &Path) -> Result<(), InitError> {
    ensure(&open(root)?, &settings.domain, OffsetDateTime::now_utc())
}

fn open(root: &Path) -> Result<Store<'_>, InitError> {
    // The groups exist in the containers only; in a folder of one's own the files stay one's own.
    Store::open(root, root == Path::new(layout::ROOT))
}

fn ensure(store: &Store<'_>, domain: &str, now: OffsetDateTime) -> Result<(), InitError> {
    use layout::*;

    let files = Files { key: INTERNAL_CA_KEY, certificate: INTERNAL_CA };
    let ca = Authority::ensure(store, files, "Roadstead internal CA", &DATABASE_NAMES, now)?;
    store.copy(OWNER_DATABASE_CA, &ca.pem)?;
    store.copy(APP_DATABASE_CA, &ca.pem)?;
    let files = Files { key: POSTGRES_KEY, certificate: POSTGRES_CERTIFICATE };
    ca.ensure_server(store, files, &DATABASE_NAMES, DATABASE_LIFE, now)?;

    site::ensure(store, domain, now)?;

    secrets::ensure(store, &[POSTGRES_OWNER_PASSWORD, OWNER_PASSWORD])?;
    secrets::ensure(store, &[POSTGRES_APP_PASSWORD, APP_PASSWORD])?;
    secrets::ensure(store, &[MASTER_KEY])?;
    secrets::ensure(store, &[REFRESH_KEY])?;
    secrets::ensure(store, &[PEPPER])
}
