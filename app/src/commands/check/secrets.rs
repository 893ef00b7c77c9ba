//! The five secret volumes: who may read what, whether it can be guessed, and the certificates.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use time::{Duration, OffsetDateTime};

use super::{Findings, Level};
use crate::{
    auth::secret::Keys,
    commands::init::{
        certificates::{first_certificate, parse, validity},
        layout::{
            APP_PASSWORD, MASTER_KEY, OWNER_PASSWORD, PEPPER, POSTGRES_CERTIFICATE, REFRESH_KEY,
            SITE_CERTIFICATE, SITE_KEY, SecretFile, VOLUMES, Volume,
        },
        site,
    },
};

/// 32 random bytes are 43 letters of base64url. Fewer, or the same few, were not made by `init`.
const LETTERS: usize = 43;
const DIFFERENT_LETTERS: usize = 16;

pub fn look(root: &Path, domain: &str, deploy: bool, now: OffsetDateTime, findings: &mut Findings) {
    for volume in VOLUMES {
        modes(volume, &volume.path(root), findings);
    }
    for file in [MASTER_KEY, REFRESH_KEY, PEPPER, APP_PASSWORD, OWNER_PASSWORD] {
        strength(file, root, findings);
    }
    site_certificate(root, domain, deploy, now, findings);
    database_certificate(root, now, findings);
}

/// Nobody else, that is beyond what `init` gives: the key's owner, and the one group that needs it.
fn modes(volume: &Volume, folder: &Path, findings: &mut Findings) {
    let Ok(entries) = fs::read_dir(folder) else {
        findings.add(
            "secrets.volume",
            Level::Warning,
            format!("{} cannot be looked at", folder.display()),
            "run this in the service `check`: scripts/status.sh --check",
        );
        return;
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let looked: Vec<(PathBuf, u32)> = files
        .map(|path| (path, volume.file_mode))
        .chain([(folder.to_owned(), volume.directory_mode)])
        .collect();
    for (path, mode) in looked {
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        let excess = found.mode() & 0o777 & !mode;
        // Public, whatever the mode.
        let is_certificate = path.extension().is_some_and(|end| end == "crt");
        if excess != 0 && !is_certificate {
            findings.add(
                "secrets.mode",
                Level::Error,
                format!(
                    "{} has the mode {:o}, more than {mode:o}",
                    path.display(),
                    found.mode() & 0o777
                ),
                format!("chmod {mode:o} it, in the volume {}", volume.name),
            );
        }
        if mode & 0o070 != 0 && found.gid() != volume.group && !is_certificate {
            findings.add(
                "secrets.group",
                Level::Warning,
                format!(
                    "{} belongs to the group {}, not {}",
                    path.display(),
                    found.gid(),
                    volume.group
                ),
                format!("chgrp {} it, in the volume {}", volume.group, volume.name),
            );
        }
    }
}

/// A password is one line; of keys there is one a line, perhaps with a time before it.
fn strength(file: SecretFile, root: &Path, findings: &mut Findings) {
    let text = match fs::read_to_string(file.path(root)) {
        Ok(text) => text,
        Err(error) => {
            findings.add(
                "secrets.missing",
                Level::Error,
                format!("{file} cannot be read: {error}"),
                "scripts/up.sh makes what is missing",
            );
            return;
        }
    };
    let is_keys = [MASTER_KEY, REFRESH_KEY, PEPPER].iter().any(|keys| keys.name == file.name);
    let secrets: Vec<&str> = match is_keys {
        true => text.lines().filter_map(|line| line.split_whitespace().last()).collect(),
        false => vec![text.trim_end()],
    };
    let weakest =
        secrets.into_iter().min_by_key(|secret| secret.len().min(LETTERS) + different(secret));
    let weakest = weakest.unwrap_or_default();
    if weakest.len() < LETTERS || different(weakest) < DIFFERENT_LETTERS {
        findings.add(
            "secrets.weak",
            Level::Error,
            format!(
                "{file} can be guessed: it has {} letters, {} of them different",
                weakest.len(),
                different(weakest)
            ),
            "replace it as deploy/README.md says (a new pepper makes all passwords void)",
        );
    } else if let (true, Err(problem)) = (is_keys, Keys::parse(&text)) {
        findings.add(
            "secrets.form",
            Level::Error,
            format!("{file}: {problem}: no slot would start"),
            "each line is a key, or a time and a key; scripts/rotate.sh writes them",
        );
    }
}

fn different(secret: &str) -> usize {
    secret.bytes().collect::<HashSet<_>>().len()
}

fn site_certificate(
    root: &Path,
    domain: &str,
    deploy: bool,
    now: OffsetDateTime,
    findings: &mut Findings,
) {
    let pem = fs::read_to_string(SITE_CERTIFICATE.path(root)).unwrap_or_default();
    let key = fs::read_to_string(SITE_KEY.path(root)).ok();
    let der = first_certificate(&pem);
    let Some(certificate) = der.as_deref().and_then(parse) else {
        findings.add(
            "certificate.missing",
            Level::Error,
            format!("{SITE_CERTIFICATE} is missing, or no certificate"),
            "scripts/up.sh makes one; or put your own there",
        );
        return;
    };
    if deploy && domain != "localhost" && site::is_ours(&certificate) {
        findings.add(
            "certificate.authority",
            Level::Note,
            format!("{SITE_CERTIFICATE} is of the site's own authority, which visitors' browsers do not know"),
            "bring one of a public authority (deploy/README.md, day one), or give yours to them: scripts/trust.sh",
        );
    }
    for problem in site::problems(&certificate, key.as_deref(), domain, now) {
        let level = if problem.starts_with("expires soon") { Level::Warning } else { Level::Error };
        findings.add(
            "certificate.site",
            level,
            format!("{SITE_CERTIFICATE} {problem}"),
            "scripts/up.sh renews the site's own; one of yours you replace in the volume nginx-secrets, then: docker compose kill --signal HUP nginx",
        );
    }
}

fn database_certificate(root: &Path, now: OffsetDateTime, findings: &mut Findings) {
    let pem = fs::read_to_string(POSTGRES_CERTIFICATE.path(root)).unwrap_or_default();
    let der = first_certificate(&pem);
    let until = der.as_deref().and_then(parse).map(|certificate| validity(&certificate).1);
    if until.is_none_or(|until| until - now < Duration::days(14)) {
        let when =
            until.map_or("is missing".to_owned(), |until| format!("ends on {}", until.date()));
        findings.add(
            "certificate.database",
            if until.is_some_and(|until| until > now) { Level::Warning } else { Level::Error },
            format!("{POSTGRES_CERTIFICATE} {when}: without it, no slot trusts the database"),
            "scripts/up.sh renews it",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::commands::{check::tests::found, init};

    #[test]
    fn what_init_makes_is_well_and_each_flaw_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for volume in VOLUMES {
            fs::create_dir(volume.path(root)).unwrap();
        }
        init::run(&crate::config::Settings::default(), root).unwrap();
        let look = |domain: &str, days| {
            let now = OffsetDateTime::now_utc() + Duration::days(days);
            let ids = found(|findings| look(root, domain, true, now, findings));
            // Groups are given by root alone.
            ids.into_iter().filter(|id| *id != "secrets.group").collect::<Vec<_>>()
        };
        assert_eq!(look("localhost", 0), [""; 0]);
        assert_eq!(look("example.org", 0), ["certificate.authority", "certificate.site"]);
        assert_eq!(look("localhost", 398)[0], "certificate.site");

        let pepper = PEPPER.path(root);
        fs::set_permissions(&pepper, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look("localhost", 0), ["secrets.mode"]);
        fs::write(&pepper, "a".repeat(43)).unwrap();
        fs::set_permissions(&pepper, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(look("localhost", 0), ["secrets.weak"]);
        let key = fs::read_to_string(REFRESH_KEY.path(root)).unwrap();
        for (text, found) in [
            (format!("{key}\n2026-01-31T12:00:00Z {key}\n"), &[""; 0][..]),
            (format!("{key}\n2026-01-31T12:00:00Z {}\n", &key[..20]), &["secrets.weak"]),
            (format!("{key}\nyesterday {key}\n"), &["secrets.form"]),
        ] {
            fs::write(&pepper, text).unwrap();
            assert_eq!(look("localhost", 0), found);
        }
        fs::remove_file(&pepper).unwrap();
        assert_eq!(look("localhost", 0), ["secrets.missing"]);
    }
}
