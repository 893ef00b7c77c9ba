//! Where this machine has PostgreSQL's programs, and what to type where it has none.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder with `initdb` and `postgres`: of the PATH first, else the newest of the usual places.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find_map(|folder| complete(&folder)).or_else(|| {
        let mut found: Vec<_> = usual_places().iter().filter_map(|p| complete(p)).collect();
        found.sort_by_key(|folder| major(folder));
        found.pop()
    })
}

/// Follows a link, as /usr/local/bin/postgres often is one.
fn complete(folder: &Path) -> Option<PathBuf> {
    let server = fs::canonicalize(folder.join("postgres")).ok()?;
    let home = server.parent()?;
    home.join("initdb").exists().then(|| home.to_owned())
}

fn usual_places() -> Vec<PathBuf> {
    let mut places = vec!["/usr/local/pgsql/bin".into(), "/usr/lib/postgresql/bin".into()];
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
        ("/usr", "pgsql-", "bin"),                   // Red Hat and kin
        ("/usr/libexec", "postgresql", ""),          // Alpine
        ("/opt/homebrew/opt", "postgresql@", "bin"), // macOS, ARM
        ("/usr/local/opt", "postgresql@", "bin"),    // macOS, Intel
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                places.push(entry.path().join(below));
            }
        }
    }
    places
}

/// The first number in the path: 17 of `/usr/lib/postgresql/17/bin`.
fn major(folder: &Path) -> u32 {
    let text = folder.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok()).unwrap_or(0)
}

pub(super) fn how_to_install() -> String {
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let command =
        if cfg!(target_os = "macos") { Some("brew install postgresql@17") } else { command(&os) };
    match command {
        Some(command) if cfg!(target_os = "macos") || rustix::process::geteuid().is_root() => {
            command.into()
        }
        Some(command) => format!("sudo {command}"),
        None => "install PostgreSQL 15 or newer, so that `postgres` is in the PATH".into(),
    }
}

fn command(os_release: &str) -> Option<&'static str> {
    let ids = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split(' '));
    ids.into_iter().find_map(|id| {
        Some(match id {
            "debian" | "ubuntu" => "apt-get install -y postgresql",
            "fedora" | "rhel" | "centos" => "dnf install -y postgresql-server",
            "alpine" => "apk add postgresql",
            "arch" => "pacman -S --noconfirm postgresql",
            "suse" | "opensuse" => "zypper install -y postgresql-server",
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_command() {
        for (os, word) in [
            ("NAME=\"Debian\"\nID=debian\n", "apt-get"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf"),
            ("ID=alpine\n", "apk"),
        ] {
            assert!(command(os).unwrap().contains(word), "{os}");
        }
        assert_eq!(command("ID=plan9\n"), None);
    }

    #[test]
    fn the_version_is_read_from_the_path() {
        assert_eq!(major(Path::new("/usr/lib/postgresql/17/bin")), 17);
        assert_eq!(major(Path::new("/opt/homebrew/opt/postgresql@16/bin")), 16);
    }
}
