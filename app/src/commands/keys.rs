//! `roadstead keys`: the keys that sign access tokens, with the application's own rights.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::text;
use crate::{
    auth::{
        key_file::KeyFile,
        keys::{KeyRing, OVERLAP},
        rotation::{self, Revoked},
    },
    config::Settings,
    db::{Db, keys, users},
};

#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the signing keys: which one signs, which one is next, until when the others verify
    List,
    /// Let the next signing key sign; nobody has to sign in again
    Rotate {
        /// After so many seconds, at least 12: by then every slot knows the key. Where others verify our tokens by the
        /// public set, give them the 300 seconds for which they may keep it
        #[arg(long, value_name = "SECONDS", default_value_t = rotation::HEARD.as_secs(),
              value_parser = clap::value_parser!(u64).range(rotation::HEARD.as_secs()..=86_400))]
        after: u64,
    },
    /// Make worthless what a signing key has signed, in under a second; clients refresh, and nobody has to sign in again
    Revoke {
        /// Of the list
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Print how much still needs an older pepper (accounts) or master key (signing keys) than the one in use
    Outdated { what: Sealing },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Sealing {
    Pepper,
    Master,
}

pub async fn run(settings: &Settings, command: KeysCommand) -> Result<(), String> {
    let said = work(settings, command).await?;
    println!("{said}");
    Ok(())
}

async fn work(settings: &Settings, command: KeysCommand) -> Result<String, String> {
    let db = Db::connect(&settings.database).map_err(text)?;
    match command {
        KeysCommand::List => list(settings, &db).await,
        KeysCommand::Rotate { after } => {
            let masters = KeyFile::master(settings).map_err(text)?.get();
            let change = db.begin().await.map_err(text)?;
            let delay = Duration::from_secs(after);
            let kid = rotation::rotate(&change, &masters, delay).await.map_err(text)?;
            change.commit().await.map_err(text)?;
            Ok(format!(
                "{kid} signs in {after} s. The one before verifies for {} minutes more; `roadstead keys list` shows both.",
                OVERLAP / 60
            ))
        }
        KeysCommand::Revoke { kid } => {
            let masters = KeyFile::master(settings).map_err(text)?.get();
            let change = db.begin().await.map_err(text)?;
            let revoked = rotation::revoke(&change, &masters, &kid).await.map_err(text)?;
            change.commit().await.map_err(text)?;
            let dead =
                format!("What {kid} has signed is worthless now; whoever holds it refreshes.");
            match revoked {
                Revoked::Replaced(next) => Ok(format!("{dead} {next} signs from now on.")),
                Revoked::Alone => Ok(format!("{dead} It was not the one that signs.")),
                Revoked::Unknown => Err(format!(
                    "{kid} is no signing key that anybody believes; `roadstead keys list` shows them"
                )),
            }
        }
        KeysCommand::Outdated { what } => {
            outdated(settings, &db, what).await.map(|n| n.to_string())
        }
    }
}

async fn list(settings: &Settings, db: &Db) -> Result<String, String> {
    let masters = KeyFile::master(settings).map_err(text)?.get();
    let client = db.get().await.map_err(text)?;
    let now = keys::now(&client).await.map_err(text)?;
    let ring = KeyRing::open(&masters, &keys::list(&client).await.map_err(text)?);
    let signer = ring.signing(now).ok().map(|signer| signer.kid.to_owned());
    let sealed: Vec<&str> = ring.sealed().collect();
    let line = |row: &keys::KeyRow| {
        let state = match (row.revoked_at, row.expires_at) {
            (Some(at), _) => format!("revoked {}", at_time(at)),
            (None, Some(at)) if at.unix_timestamp() <= now => format!("ended {}", at_time(at)),
            (None, Some(at)) => format!("verifies until {}", at_time(at)),
            _ if sealed.contains(&&*row.kid) => "does not open: its master key is not there".into(),
            _ if signer.as_ref() == Some(&row.kid) => {
                format!("signs, since {}", at_time(row.signs_from))
            }
            _ if row.signs_from.unix_timestamp() > now => {
                format!("next, signs from {}", at_time(row.signs_from))
            }
            _ => "verifies; to be retired within a minute".into(),
        };
        format!("{}  {state}", row.kid)
    };
    let rows = keys::list_all(&client).await.map_err(text)?;
    match rows.is_empty() {
        true => Ok("There are none; `roadstead migrate` makes the first.".into()),
        false => Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n")),
    }
}

async fn outdated(settings: &Settings, db: &Db, what: Sealing) -> Result<i64, String> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let client = db.get().await.map_err(text)?;
    match what {
        Sealing::Pepper => {
            let peppers = KeyFile::pepper(settings).map_err(text)?.get();
            users::count_with_other_pepper(&client, peppers.current(now).0).await
        }
        Sealing::Master => {
            let masters = KeyFile::master(settings).map_err(text)?.get();
            keys::count_under_others(&client, masters.current(now).0).await
        }
    }
    .map_err(text)
}

fn at_time(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}
