//! `roadstead init rotate`: a new key beside the old ones, in the file that holds them all. The slots read it again every
//! few seconds, and use the new key from its time on.

use std::path::Path;

use clap::{Subcommand, ValueEnum};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    InitError,
    files::Store,
    layout::{MASTER_KEY, PEPPER, REFRESH_KEY, SecretFile},
    open, secrets,
};
use crate::auth::secret::KeyLine;

/// Every slot has read the file before the key is used, also a slot that is slow.
const AHEAD: Duration = Duration::seconds(20);
/// What is pruned has been replaced for so long: whoever looked before whether anything needs it has seen the new one in
/// use.
const SETTLED: Duration = Duration::hours(1);
/// No refresh token is older: a session ends 30 days after its sign-in.
const LONGEST_REFRESH: Duration = Duration::days(31);

#[derive(Subcommand)]
pub enum InitCommand {
    /// Add a key that is used from 20 seconds ahead on; the older ones are still believed
    Rotate {
        kind: KeyKind,
        /// Add none, and remove those that the one in use has replaced an hour ago. Only for what `roadstead keys outdated` says that
        /// nothing needs them: what does is lost
        #[arg(long)]
        prune: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// Encrypts the signing keys in the database
    Master,
    /// Authenticates refresh tokens; replaced for over 31 days, it goes by itself
    Refresh,
    /// Goes into password hashes
    Pepper,
}

impl KeyKind {
    fn file(self) -> SecretFile {
        match self {
            Self::Master => MASTER_KEY,
            Self::Refresh => REFRESH_KEY,
            Self::Pepper => PEPPER,
        }
    }
}

pub fn run(root: &Path, command: InitCommand) -> Result<(), InitError> {
    let InitCommand::Rotate { kind, prune } = command;
    rotate(&open(root)?, kind, prune, OffsetDateTime::now_utc())
}

pub(super) fn rotate(
    store: &Store<'_>,
    kind: KeyKind,
    prune: bool,
    now: OffsetDateTime,
) -> Result<(), InitError> {
    let file = kind.file();
    let text = store.read(file)?.ok_or(InitError::Missing(file))?;
    let lines = lines(file, &text)?;
    let needed = match (prune, kind) {
        (true, _) => now - SETTLED,
        (false, KeyKind::Refresh) => now - LONGEST_REFRESH,
        (false, KeyKind::Master | KeyKind::Pepper) => OffsetDateTime::UNIX_EPOCH,
    };
    let mut kept: Vec<String> = Vec::new();
    for (index, (line, text)) in lines.iter().enumerate() {
        let replaced =
            lines.get(index + 1).is_some_and(|(next, _)| next.from <= needed.unix_timestamp());
        if replaced {
            println!("removed {} from {file}: it is replaced", line.id);
        } else {
            kept.push((*text).to_owned());
        }
    }
    if !prune {
        let from = (now + AHEAD).replace_nanosecond(0).unwrap_or(now);
        let from = from.format(&Rfc3339).expect("a time of our days");
        let line = format!("{from} {}", secrets::random()?);
        let id = KeyLine::parse(&line).expect("just made").id;
        kept.push(line);
        println!(
            "added {id} to {file}: it is used from {from} on, and the older ones are believed"
        );
    }
    if kept.len() != lines.len() || !prune {
        store.write(file, &(kept.join("\n") + "\n"))?;
    }
    Ok(())
}

/// In the order of their times.
fn lines(file: SecretFile, text: &str) -> Result<Vec<(KeyLine, &str)>, InitError> {
    let mut lines = Vec::new();
    for text in text.lines().map(str::trim).filter(|text| !text.is_empty()) {
        let line = KeyLine::parse(text);
        lines.push((
            line.map_err(|problem| InitError::Line(file, format!("a line {problem}")))?,
            text,
        ));
    }
    lines.sort_by_key(|(line, _)| line.from);
    Ok(lines)
}
