//! Every setting, read once: defaults, then the file that `ROADSTEAD_CONFIG` names (TOML), then
//! `ROADSTEAD_…` variables (`__` between levels), then `…_FILE` variables for secrets.

use std::{
    collections::HashMap,
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::Deserialize;

const PREFIX: &str = "ROADSTEAD_";
const FILE: &str = "ROADSTEAD_CONFIG";

/// Settings that may also come from a file, named by the same variable with `_FILE` behind it.
const SECRETS: [&str; 4] =
    ["DATABASE__PASSWORD", "AUTH__MASTER_KEY", "AUTH__REFRESH_KEY", "AUTH__PEPPER"];

/// Settings of the stack that others read: nginx, Compose and the scripts. Whoever exports them may still
/// run `roadstead dev`.
const OF_OTHERS: [&str; 11] = [
    "ADMIN_EMAIL",
    "REGISTRY",
    "WATCH_SECONDS",
    "WATCH_ERRORS",
    "WATCH_SLOWER",
    "APP_MEMORY",
    "POSTGRES_MEMORY",
    "RATE_SIGN_IN",
    "BURST_SIGN_IN",
    "RATE_REFRESH",
    "BURST_REFRESH",
];

/// Seconds. Where a revocation fails, a token's end bounds the damage; tokens that live for less than
/// half a minute make clients do little but refresh.
pub const ACCESS_LIFETIMES: RangeInclusive<i64> = 30..=900;

/// Why the program does not start: which setting, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    pub setting: String,
    pub problem: String,
}

impl ConfigError {
    fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The site's name in the browser's address bar.
    pub domain: String,
    pub http_port: u16,
    pub https_port: u16,
    /// Which of the two slots `serve` fills.
    pub slot: Option<Slot>,
    /// Where the two slots' sockets are; nginx looks for them there.
    pub socket_dir: PathBuf,
    /// Worker threads; one per core of the container when absent.
    pub workers: Option<usize>,
    pub database: Database,
    pub auth: Auth,
    pub server: Server,
    pub log: Log,
    /// Where secrets came from, by the setting's name: what is in these files may change.
    #[serde(skip)]
    pub secret_files: HashMap<String, PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: "localhost".into(),
            http_port: 80,
            https_port: 443,
            slot: None,
            socket_dir: "/run/roadstead".into(),
            workers: None,
            database: Database::default(),
            auth: Auth::default(),
            server: Server::default(),
            log: Log::default(),
            secret_files: HashMap::new(),
        }
    }
}

/// An enum that is written as one of a few words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub enum $name { $($variant),+ }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(word: String) -> Result<Self, String> {
                match word.as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {:?}, is {word:?}", [$($word),+])),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words!(Slot { Blue = "blue", Green = "green" });
words!(LogFormat { Json = "json", Text = "text" });
words!(LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" });

impl Slot {
    pub fn sibling(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// A name means TCP with TLS, verified against `ca_file`; a path (`/…`) a unix socket's directory.
    pub host: String,
    pub port: u16,
    pub name: String,
    pub user: String,
    pub password: Option<Secret>,
    pub ca_file: PathBuf,
    /// Connections of one process.
    pub pool_size: usize,
    /// How long a request waits for a free connection.
    pub wait_ms: u64,
    /// How long opening a connection may take.
    pub create_ms: u64,
    /// `statement_timeout`, below the handler's deadline.
    pub statement_timeout_ms: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            host: "postgres".into(),
            port: 5432,
            name: "roadstead".into(),
            user: "roadstead_app".into(),
            password: None,
            ca_file: "/secrets/app/ca.crt".into(),
            pool_size: 8,
            wait_ms: 2_000,
            create_ms: 3_000,
            statement_timeout_ms: 15_000,
        }
    }
}

/// Each key is one or more lines, as `auth::secret::Keys` reads them.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How long an access token is good, in seconds: one of `ACCESS_LIFETIMES`.
    pub access_lifetime_s: i64,
    /// A signing key is replaced when it is so old.
    pub rotation_days: u16,
    /// Encrypts the signing keys in the database.
    pub master_key: Option<Secret>,
    /// Authenticates refresh tokens.
    pub refresh_key: Option<Secret>,
    /// Goes into every password hash.
    pub pepper: Option<Secret>,
    /// Sign-ins a minute from one address; what else `auth::limits` counts is in proportion to it.
    pub sign_in_limit: i32,
}

/// As good as no limit: for a stack that is tested or measured.
pub const HIGHEST_SIGN_IN_LIMIT: i32 = 1_000_000;

impl Default for Auth {
    fn default() -> Self {
        Self {
            access_lifetime_s: 300,
            rotation_days: 30,
            master_key: None,
            refresh_key: None,
            pepper: None,
            sign_in_limit: 10,
        }
    }
}

/// Seconds (`…_s`). Their order matters: see `check`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub keep_alive_s: u64,
    pub handler_deadline_s: u64,
    /// A drain takes no longer than this …
    pub drain_s: u64,
    /// … and the process is gone by then, whatever its workers do.
    pub hard_exit_s: u64,
    /// Routes that sleep, block and panic, for drills and measurements.
    pub drill: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            keep_alive_s: 75,
            handler_deadline_s: 30,
            drain_s: 37,
            hard_exit_s: 40,
            drill: false,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: LogLevel::Info }
    }
}

/// A value that never shows itself in a log.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Settings {
    /// Reads the process environment.
    pub fn load() -> Result<Self, ConfigError> {
        let mut variables = HashMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            // ROADSTEAD_DEV_…: what `roadstead dev` tells its child, no settings.
            if name.starts_with(PREFIX) && !name.starts_with("ROADSTEAD_DEV_") {
                let value = value
                    .into_string()
                    .map_err(|_| ConfigError::new(&name, "is not valid UTF-8"))?;
                variables.insert(name, value);
            }
        }
        Self::read(variables)
    }

    /// The same from given variables.
    pub fn read(mut variables: HashMap<String, String>) -> Result<Self, ConfigError> {
        // Compose passes an unset variable as an empty one.
        variables.retain(|name, value| {
            !value.is_empty()
                && !OF_OTHERS.iter().any(|other| name.strip_prefix(PREFIX) == Some(other))
        });
        let file = variables.remove(FILE);
        let secret_files = read_secret_files(&mut variables)?;

        let mut layers = config::Config::builder();
        if let Some(path) = &file {
            layers = layers.add_source(config::File::new(path, config::FileFormat::Toml));
        }
        let layers = layers
            .add_source(
                config::Environment::with_prefix("ROADSTEAD")
                    .prefix_separator("_")
                    .separator("__")
                    .source(Some(variables)),
            )
            .build()
            .map_err(|error| ConfigError::new(FILE, error.to_string()))?;
        let mut settings: Self = serde_path_to_error::deserialize(layers).map_err(|error| {
            let path = error.path().to_string().replace('.', "__").to_uppercase();
            ConfigError::new(format!("{PREFIX}{path}"), error.into_inner().to_string())
        })?;
        settings.secret_files = secret_files;
        settings.check()?;
        Ok(settings)
    }

    /// The address people type, without a slash at the end.
    pub fn origin(&self) -> String {
        match self.https_port {
            443 => format!("https://{}", self.domain),
            port => format!("https://{}:{port}", self.domain),
        }
    }

    pub fn workers(&self) -> usize {
        // Knows the container's CPU quota (cgroup v1 and v2) and its CPU set.
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Server { keep_alive_s, handler_deadline_s, drain_s, hard_exit_s, drill } = self.server;
        let rules = [
            (
                "ROADSTEAD_DOMAIN",
                is_host_name(&self.domain),
                "must be a host name such as example.org",
            ),
            (
                "ROADSTEAD_WORKERS",
                self.workers.is_none_or(|n| (1..=256).contains(&n)),
                "must be between 1 and 256",
            ),
            (
                "ROADSTEAD_AUTH__ACCESS_LIFETIME_S",
                ACCESS_LIFETIMES.contains(&self.auth.access_lifetime_s),
                "must be between 30 and 900",
            ),
            ("ROADSTEAD_DATABASE__POOL_SIZE", self.database.pool_size > 0, "must be at least 1"),
            (
                "ROADSTEAD_AUTH__ROTATION_DAYS",
                (2..=365).contains(&self.auth.rotation_days),
                "must be between 2 and 365: the next key is published a day before it signs",
            ),
            (
                "ROADSTEAD_HTTP_PORT",
                self.http_port != self.https_port,
                "must differ from ROADSTEAD_HTTPS_PORT",
            ),
            (
                "ROADSTEAD_SERVER__KEEP_ALIVE_S",
                keep_alive_s > 5,
                "must be longer than the 5 s after which nginx closes an idle connection",
            ),
            (
                "ROADSTEAD_SERVER__DRAIN_S",
                drain_s > handler_deadline_s,
                "must be longer than ROADSTEAD_SERVER__HANDLER_DEADLINE_S",
            ),
            (
                "ROADSTEAD_SERVER__HARD_EXIT_S",
                hard_exit_s > drain_s,
                "must be longer than ROADSTEAD_SERVER__DRAIN_S",
            ),
            (
                "ROADSTEAD_SERVER__DRILL",
                !drill || self.domain == "localhost",
                "is for a stack that nobody else reaches: only with ROADSTEAD_DOMAIN=localhost",
            ),
            (
                "ROADSTEAD_AUTH__SIGN_IN_LIMIT",
                (2..=HIGHEST_SIGN_IN_LIMIT).contains(&self.auth.sign_in_limit),
                "must be between 2 and 1000000",
            ),
            (
                "ROADSTEAD_DATABASE__STATEMENT_TIMEOUT_MS",
                (1..handler_deadline_s * 1000).contains(&self.database.statement_timeout_ms),
                "must be at least 1, and shorter than ROADSTEAD_SERVER__HANDLER_DEADLINE_S",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, problem)) => Err(ConfigError::new(setting, problem)),
            None => Ok(()),
        }
    }
}

/// `X_FILE` becomes `X`, with the file's text; says which file each came from.
fn read_secret_files(
    variables: &mut HashMap<String, String>,
) -> Result<HashMap<String, PathBuf>, ConfigError> {
    let mut files = HashMap::new();
    for secret in SECRETS {
        let name = format!("{PREFIX}{secret}");
        let name_of_file = format!("{name}_FILE");
        let Some(path) = variables.remove(&name_of_file) else {
            continue;
        };
        if variables.contains_key(&name) {
            return Err(ConfigError::new(
                name_of_file,
                format!("set either this or {name}, not both"),
            ));
        }
        let path = PathBuf::from(path);
        variables.insert(name.clone(), read_secret_file(&name, &path)?.0);
        files.insert(name, path);
    }
    Ok(files)
}

/// The text without the line end.
pub fn read_secret_file(setting: &str, path: &Path) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problem = format!("cannot read {}: {error}", path.display());
        ConfigError::new(format!("{setting}_FILE"), problem)
    })?;
    Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// RFC 1123 section 2.1, lower case, and no address: certificates name those otherwise.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.rsplit('.').next().is_some_and(|last| last.contains(|c: char| !c.is_ascii_digit()))
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let variables =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(variables).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_a_valid_configuration() {
        let settings = read(&[]).expect("defaults");
        assert_eq!(settings.origin(), "https://localhost");
    }

    #[test]
    fn variables_reach_nested_settings_and_empty_ones_count_as_unset() {
        let settings = read(&[
            ("ROADSTEAD_DATABASE__HOST", "db.internal"),
            ("ROADSTEAD_DATABASE__PASSWORD", "007"),
            ("ROADSTEAD_HTTPS_PORT", "8443"),
            ("ROADSTEAD_WORKERS", ""),
            ("ROADSTEAD_RATE_SIGN_IN", "10r/m"),
            ("ROADSTEAD_SLOT", "green"),
        ])
        .expect("valid");
        assert_eq!(settings.database.host, "db.internal");
        let password = settings.database.password.expect("password");
        assert_eq!(password.expose(), "007");
        assert_eq!(format!("{password:?}"), "[secret]");
        assert_eq!(settings.slot, Some(Slot::Green));
        assert_eq!(settings.workers, None);
    }

    #[test]
    fn a_file_lies_below_the_variables() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let text = "domain = \"example.org\"\nhttps_port = 8443\n[database]\nport = 6000\n";
        std::fs::write(file.path(), text).expect("write");
        let path = file.path().to_str().expect("path");
        let settings = read(&[(FILE, path), ("ROADSTEAD_HTTPS_PORT", "9443")]).expect("valid");
        assert_eq!(settings.origin(), "https://example.org:9443");
        assert_eq!(settings.database.port, 6000);
    }

    #[test]
    fn a_mistake_names_its_setting() {
        for (name, value, word) in [
            ("ROADSTEAD_DOMANE", "x.org", "unknown field"),
            ("ROADSTEAD_DATABASE__HOSST", "x", "unknown field"),
            ("ROADSTEAD_WORKERS", "many", "invalid"),
            ("ROADSTEAD_WORKERS", "0", "between 1 and 256"),
            ("ROADSTEAD_SLOT", "red", "blue"),
            ("ROADSTEAD_DOMAIN", "https://x.org/", "host name"),
            ("ROADSTEAD_DOMAIN", "127.0.0.1", "host name"),
            ("ROADSTEAD_HTTP_PORT", "443", "must differ"),
            ("ROADSTEAD_DATABASE__STATEMENT_TIMEOUT_MS", "0", "at least 1"),
            ("ROADSTEAD_SERVER__DRAIN_S", "20", "HANDLER_DEADLINE_S"),
            ("ROADSTEAD_SERVER__HARD_EXIT_S", "37", "DRAIN_S"),
            ("ROADSTEAD_AUTH__ACCESS_LIFETIME_S", "29", "between 30 and 900"),
            ("ROADSTEAD_AUTH__ACCESS_LIFETIME_S", "901", "between 30 and 900"),
            ("ROADSTEAD_AUTH__ACCESS_LIFETIME_S", "5m", "invalid"),
            ("ROADSTEAD_AUTH__SIGN_IN_LIMIT", "0", "between 2"),
            ("ROADSTEAD_AUTH__ROTATION_DAYS", "1", "between 2 and 365"),
            ("ROADSTEAD_AUTH__PEPPER_FILE", "/does/not/exist", "/does/not/exist"),
        ] {
            let message = read(&[(name, value)]).expect_err(name);
            assert!(message.starts_with(name), "{message}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_secret_comes_from_one_place_only() {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "s3cret\n").expect("write");
        let path = file.path().to_str().expect("path");
        let settings = read(&[("ROADSTEAD_AUTH__PEPPER_FILE", path)]).expect("valid");
        assert_eq!(settings.auth.pepper.expect("pepper").expose(), "s3cret");
        let both = [("ROADSTEAD_AUTH__PEPPER_FILE", path), ("ROADSTEAD_AUTH__PEPPER", "other")];
        let message = read(&both).expect_err("both");
        assert!(message.contains("not both") && !message.contains("other"), "{message}");
    }
}
