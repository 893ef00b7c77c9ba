//! Who finds what where: the five secret volumes and every file in them.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where the volumes are mounted, in every container that has one of them.
pub const ROOT: &str = "/secrets";

/// The groups of the three users, as in the images.
const APP_GROUP: u32 = 10_001;
const NGINX_GROUP: u32 = 10_002;
const POSTGRES_GROUP: u32 = 10_003;

#[derive(Debug)]
pub struct Volume {
    /// As in docker-compose.yml.
    pub name: &'static str,
    /// Below `ROOT`.
    pub directory: &'static str,
    /// Who else may read it.
    pub group: u32,
    pub directory_mode: u32,
    pub file_mode: u32,
}

impl Volume {
    const fn shared(name: &'static str, directory: &'static str, group: u32) -> Self {
        Self { name, directory, group, directory_mode: 0o750, file_mode: 0o640 }
    }

    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(self.directory)
    }
}

/// The keys of both CAs: only `init` ever sees them.
pub static INIT: Volume = Volume {
    name: "init-secrets",
    directory: "init",
    group: APP_GROUP,
    directory_mode: 0o700,
    file_mode: 0o600,
};
pub static POSTGRES: Volume = Volume::shared("postgres-secrets", "postgres", POSTGRES_GROUP);
pub static OWNER: Volume = Volume::shared("owner-secrets", "owner", APP_GROUP);
pub static APP: Volume = Volume::shared("app-secrets", "app", APP_GROUP);
pub static NGINX: Volume = Volume::shared("nginx-secrets", "nginx", NGINX_GROUP);

pub static VOLUMES: [&Volume; 5] = [&INIT, &POSTGRES, &OWNER, &APP, &NGINX];

#[derive(Debug, Clone, Copy)]
pub struct SecretFile {
    pub volume: &'static Volume,
    pub name: &'static str,
}

impl SecretFile {
    pub fn path(&self, root: &Path) -> PathBuf {
        self.volume.path(root).join(self.name)
    }
}

impl fmt::Display for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.volume.name, self.name)
    }
}

const fn file(volume: &'static Volume, name: &'static str) -> SecretFile {
    SecretFile { volume, name }
}

pub const INTERNAL_CA_KEY: SecretFile = file(&INIT, "internal-ca.key");
pub const INTERNAL_CA: SecretFile = file(&INIT, "internal-ca.crt");
pub const SITE_CA_KEY: SecretFile = file(&INIT, "site-ca.key");
pub const SITE_CA: SecretFile = file(&INIT, "site-ca.crt");

pub const POSTGRES_KEY: SecretFile = file(&POSTGRES, "server.key");
pub const POSTGRES_CERTIFICATE: SecretFile = file(&POSTGRES, "server.crt");
pub const POSTGRES_OWNER_PASSWORD: SecretFile = file(&POSTGRES, "owner_password");
pub const POSTGRES_APP_PASSWORD: SecretFile = file(&POSTGRES, "app_password");

pub const OWNER_PASSWORD: SecretFile = file(&OWNER, "database_password");
pub const OWNER_DATABASE_CA: SecretFile = file(&OWNER, "ca.crt");

pub const APP_PASSWORD: SecretFile = file(&APP, "database_password");
pub const APP_DATABASE_CA: SecretFile = file(&APP, "ca.crt");
pub const MASTER_KEY: SecretFile = file(&APP, "master_key");
pub const REFRESH_KEY: SecretFile = file(&APP, "refresh_key");
pub const PEPPER: SecretFile = file(&APP, "pepper");

pub const SITE_KEY: SecretFile = file(&NGINX, "site.key");
pub const SITE_CERTIFICATE: SecretFile = file(&NGINX, "site.crt");
pub const NGINX_SITE_CA: SecretFile = file(&NGINX, "site-ca.crt");
