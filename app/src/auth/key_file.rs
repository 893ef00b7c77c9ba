//! Keys that are not in the database: in a setting, or in a file that is read again from time to time. So a key is
//! replaced by a line in a file, without a restart.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{secret::Keys, shared::Shared};
use crate::config::{ConfigError, Secret, Settings, read_secret_file};

pub struct KeyFile {
    setting: &'static str,
    /// None: the keys are in the setting itself, and stay.
    path: Option<PathBuf>,
    keys: Shared<Keys>,
    /// What was wrong with the file when it was last read.
    wrong: Mutex<Option<String>>,
}

impl KeyFile {
    pub fn master(settings: &Settings) -> Result<Self, ConfigError> {
        Self::open("ROADSTEAD_AUTH__MASTER_KEY", settings, settings.auth.master_key.as_ref())
    }

    pub fn refresh(settings: &Settings) -> Result<Self, ConfigError> {
        Self::open("ROADSTEAD_AUTH__REFRESH_KEY", settings, settings.auth.refresh_key.as_ref())
    }

    pub fn pepper(settings: &Settings) -> Result<Self, ConfigError> {
        Self::open("ROADSTEAD_AUTH__PEPPER", settings, settings.auth.pepper.as_ref())
    }

    fn open(
        setting: &'static str,
        settings: &Settings,
        value: Option<&Secret>,
    ) -> Result<Self, ConfigError> {
        let path = settings.secret_files.get(setting).cloned();
        if let Some(path) = &path {
            let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
            if mode & 0o007 != 0 {
                return Err(ConfigError {
                    setting: format!("{setting}_FILE"),
                    problem: format!(
                        "{} is open to everybody (mode {:o}); chmod 640 it",
                        path.display(),
                        mode & 0o777
                    ),
                });
            }
        }
        let keys = Keys::from_setting(setting, value)?;
        Ok(Self { setting, path, keys: Shared::new(keys), wrong: Mutex::default() })
    }

    pub fn get(&self) -> Arc<Keys> {
        self.keys.get()
    }

    /// Whether the keys are others now. What is wrong with the file is said once, and the keys stay.
    pub fn read_again(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let read = read_secret_file(self.setting, path)
            .and_then(|text| Keys::from_setting(self.setting, Some(&text)));
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(keys) => {
                *wrong = None;
                let changed = keys != *self.keys.get();
                if changed {
                    tracing::info!("{}_FILE has changed, and is read again", self.setting);
                    self.keys.set(keys);
                }
                changed
            }
            Err(error) => {
                let error = error.to_string();
                if wrong.as_ref() != Some(&error) {
                    tracing::error!(
                        "{error}. The keys that were read before stay in use until the next start; put {} right \
                         before that",
                        path.display()
                    );
                    *wrong = Some(error);
                }
                false
            }
        }
    }
}

impl From<Keys> for KeyFile {
    fn from(keys: Keys) -> Self {
        Self { setting: "", path: None, keys: Shared::new(keys), wrong: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::{encode, random};

    #[test]
    fn a_file_that_changes_is_read_again_and_a_wrong_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let write = |text: &str| fs::write(file.path(), text).expect("write");
        let [old, new] = [(); 2].map(|()| encode(&random::<32>()));
        write(&old);
        let variables = [(
            "ROADSTEAD_AUTH__PEPPER_FILE".to_owned(),
            file.path().to_str().expect("path").to_owned(),
        )];
        let settings = Settings::read(variables.clone().into()).expect("settings");
        let pepper = KeyFile::pepper(&settings).expect("a key");
        let first = pepper.get().current(0).0.to_owned();
        assert!(!pepper.read_again(), "it is the same");
        for wrong in ["", "garbage", &format!("{old}\ngarbage")] {
            write(wrong);
            assert!(!pepper.read_again());
            assert_eq!(pepper.get().current(0).0, first);
        }
        write(&format!("{old}\n2026-01-31T12:00:00Z {new}\n"));
        assert!(pepper.read_again());
        assert_eq!(pepper.get().current(0).0, first);
        assert_ne!(pepper.get().current(i64::MAX).0, first);

        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("mode");
        let settings = Settings::read(variables.into()).expect("settings");
        let error = KeyFile::pepper(&settings).err().expect("refused").to_string();
        assert!(
            error.starts_with("ROADSTEAD_AUTH__PEPPER_FILE: ") && error.contains("chmod"),
            "{error}"
        );
    }
}
