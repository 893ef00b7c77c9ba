//! `roadstead user`: accounts from the command line, with the application's own rights.

use std::io::Read as _;

use clap::Subcommand;
use serde_json::json;

use super::text;
use crate::{
    auth::{
        caller::Caller,
        key_file::KeyFile,
        password::{self, Passwords},
        secret,
    },
    config::Settings,
    db::{
        Db,
        audit::{self, Event},
        invitations, sessions,
        users::{self, Rights},
    },
};

#[derive(Subcommand)]
pub enum UserCommand {
    /// Print a link that becomes an account, once and within 30 minutes
    Invite {
        email: String,
        /// The account may manage others
        #[arg(long)]
        admin: bool,
    },
    /// Create an account, for scripts
    Create {
        email: String,
        /// The account may manage others
        #[arg(long)]
        admin: bool,
        /// Read the password from standard input (12 to 128 characters); never an argument, which others could see
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// List the accounts
    List {
        /// Only administrators that are not disabled
        #[arg(long)]
        admins: bool,
        /// Print only how many
        #[arg(long)]
        count: bool,
    },
    /// End an account's sessions and let it in no more
    Disable { email: String },
    /// Let a disabled account in again
    Enable { email: String },
}

pub async fn run(settings: &Settings, command: UserCommand) -> Result<(), String> {
    let said = work(settings, command).await?;
    println!("{said}");
    Ok(())
}

async fn work(settings: &Settings, command: UserCommand) -> Result<String, String> {
    let db = Db::connect(&settings.database).map_err(text)?;
    match command {
        UserCommand::Invite { email, admin } => {
            let email = address(&email)?;
            let client = db.get().await.map_err(text)?;
            if users::find_by_email(&client, &email).await.map_err(text)?.is_some() {
                return Err(format!(
                    "{email} has an account already; sign in at {}/sign-in",
                    settings.origin()
                ));
            }
            let token = secret::encode(&secret::random::<32>());
            let hash = secret::sha256(token.as_bytes());
            invitations::insert(&client, &hash, &email, admin).await.map_err(text)?;
            let details = json!({"admin": admin});
            let event = Event { event: "user_invited", details, ..Event::default() };
            audit::record(&client, &Caller::default(), event).await.map_err(text)?;
            // Behind #, a browser keeps it to itself: it is in no request and in no log.
            let email: String = form_urlencoded::byte_serialize(email.as_bytes()).collect();
            Ok(format!("{}/invitation#token={token}&email={email}", settings.origin()))
        }
        UserCommand::Create { email, admin, password_stdin: _ } => {
            let email = address(&email)?;
            let password = password_from_stdin()?;
            password::check(&password, &email)
                .map_err(|problem| format!("the password {problem}"))?;
            let pepper = KeyFile::pepper(settings).map_err(text)?;
            let hash = Passwords::start(pepper.into(), 1).hash(password).await.map_err(text)?;
            let change = db.begin().await.map_err(text)?;
            let id =
                users::insert(&change, &email, &hash, admin).await.map_err(|error| match error
                    .constraint()
                {
                    Some("users_email_key") => format!("{email} has an account already"),
                    _ => error.to_string(),
                })?;
            let event = Event::of("user_created", id);
            audit::record(&change, &Caller::default(), event).await.map_err(text)?;
            change.commit().await.map_err(text)?;
            Ok(format!("{email} has an account now"))
        }
        UserCommand::List { admins, count } => {
            let mut rows = users::list(&db.get().await.map_err(text)?).await.map_err(text)?;
            rows.retain(|row| !admins || (row.admin && row.disabled_at.is_none()));
            Ok(match (count, rows.is_empty()) {
                (true, _) => rows.len().to_string(),
                (false, true) => NO_ACCOUNTS.into(),
                (false, false) => rows.iter().map(line).collect::<Vec<_>>().join("\n"),
            })
        }
        UserCommand::Disable { email } => {
            let email = address(&email)?;
            set_disabled(&db, &email, true).await?;
            Ok(format!("{email} is disabled, and its sessions and tokens are ended"))
        }
        UserCommand::Enable { email } => {
            let email = address(&email)?;
            set_disabled(&db, &email, false).await?;
            Ok(format!("{email} may sign in again"))
        }
    }
}

async fn set_disabled(db: &Db, email: &str, disabled: bool) -> Result<(), String> {
    let change = db.begin().await.map_err(text)?;
    let row = users::find_by_email(&change, email).await.map_err(text)?;
    let id = row
        .map(|row| row.id)
        .ok_or_else(|| format!("{email} has no account; `roadstead user list` shows all"))?;
    let rights = Rights { disabled: Some(disabled), admin: None };
    users::set_rights(&change, id, rights).await.map_err(text)?;
    if disabled {
        sessions::end_all(&change, id, None, "user_disabled").await.map_err(text)?;
    }
    let event = Event::of(if disabled { "user_disabled" } else { "user_enabled" }, id);
    audit::record(&change, &Caller::default(), event).await.map_err(text)?;
    change.commit().await.map_err(text)
}

const NO_ACCOUNTS: &str =
    "There are none; `roadstead user invite EMAIL --admin` makes a link for the first.";

fn line(row: &users::UserRow) -> String {
    let role = if row.admin { "admin" } else { "user" };
    let state = if row.disabled_at.is_some() { "disabled" } else { "enabled" };
    format!("{}  {role:5}  {state:8}  {}", row.created_at.date(), row.email)
}

fn address(text: &str) -> Result<String, String> {
    password::email(text).ok_or_else(|| format!("{text:?} is no e-mail address"))
}

/// One line, without its end.
fn password_from_stdin() -> Result<String, String> {
    let mut password = String::new();
    std::io::stdin()
        .take(password::LONGEST_BYTES as u64 + 2)
        .read_to_string(&mut password)
        .map_err(|error| format!("cannot read the password: {error}"))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}
