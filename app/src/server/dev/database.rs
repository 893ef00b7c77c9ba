//! What the development server needs before it can answer: a database, keys, the schema, an account.

use super::DevError;
use crate::{
    auth::{
        key_file::KeyFile,
        password::Passwords,
        secret::{encode, random},
    },
    commands::{migrate, text},
    config::{Database, Secret, Settings},
    db::{Db, throwaway::Throwaway, users},
};

/// Of the account that is there from the start.
pub const EMAIL: &str = "dev@example.org";

const OWN_DATABASE: &str = "ROADSTEAD_AUTH__MASTER_KEY: a database of your own keeps its keys from start to start; \
     set this, ROADSTEAD_AUTH__REFRESH_KEY and ROADSTEAD_AUTH__PEPPER (32 random bytes each, base64url)";

pub struct Prepared {
    /// None when a database was named. It is gone when this is dropped.
    pub throwaway: Option<Throwaway>,
    /// The account's, new at each start.
    pub password: String,
    /// What the settings leave open, for the child's environment.
    pub variables: Vec<(&'static str, String)>,
}

pub fn prepare(mut settings: Settings) -> Result<Prepared, DevError> {
    if is_named(&settings) && settings.auth.master_key.is_none() {
        return Err(DevError::Database(OWN_DATABASE.into()));
    }
    let mut variables = Vec::new();
    // Keys that live as long as this process, unless they are set.
    for (name, secret) in [
        ("ROADSTEAD_AUTH__MASTER_KEY", &mut settings.auth.master_key),
        ("ROADSTEAD_AUTH__REFRESH_KEY", &mut settings.auth.refresh_key),
        ("ROADSTEAD_AUTH__PEPPER", &mut settings.auth.pepper),
    ] {
        if secret.is_none() {
            let key = encode(&random::<32>());
            *secret = Some(Secret::from(key.clone()));
            variables.push((name, key));
        }
    }
    // A database that is named is used; else there is a new and empty one.
    let throwaway = if is_named(&settings) { None } else { Some(Throwaway::start(&[])?) };
    if let Some(server) = &throwaway {
        let app = server.database("roadstead", "roadstead_app");
        variables.push(("ROADSTEAD_DATABASE__HOST", app.host));
        settings.database = server.database("roadstead", "roadstead_owner");
    }
    let password = encode(&random::<12>());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| DevError::Io("no runtime", error))?
        .block_on(fill(&settings, &password))
        .map_err(DevError::Database)?;
    Ok(Prepared { throwaway, password, variables })
}

fn is_named(settings: &Settings) -> bool {
    settings.database.host != Database::default().host
}

/// Whether the database is one of another machine: it would get our account and our schema.
pub fn is_remote(settings: &Settings) -> bool {
    let host = &*settings.database.host;
    let loopback = host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    is_named(settings) && !(host.starts_with('/') || host == "localhost" || loopback)
}

/// The schema, the first key and the account.
async fn fill(settings: &Settings, password: &str) -> Result<(), String> {
    migrate::run(settings).await?;
    let pepper = KeyFile::pepper(settings).map_err(text)?;
    let hash = Passwords::start(pepper.into(), 1).hash(password.into()).await.map_err(text)?;
    let client = Db::connect(&settings.database).map_err(text)?.get().await.map_err(text)?;
    match users::find_by_email(&client, EMAIL).await.map_err(text)? {
        Some(user) => {
            users::set_password_hash(&client, user.id, &user.password_hash, &hash).await.map(drop)
        }
        None => users::insert(&client, EMAIL, &hash, true).await.map(drop),
    }
    .map_err(text)
}
