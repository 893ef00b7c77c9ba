//! Accounts.

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Client, DbError};

pub struct UserRow {
    pub id: Uuid,
    pub email: String,
    pub password_hash: String,
    pub admin: bool,
    pub version: i32,
    pub disabled_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}

impl From<&Row> for UserRow {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            email: row.get("email"),
            password_hash: row.get("password_hash"),
            admin: row.get("admin"),
            version: row.get("version"),
            disabled_at: row.get("disabled_at"),
            created_at: row.get("created_at"),
        }
    }
}

macro_rules! columns {
    () => {
        "id, email, password_hash, admin, version, disabled_at, created_at"
    };
}

macro_rules! select {
    ($which:literal) => {
        concat!("SELECT ", columns!(), " FROM users ", $which)
    };
}

pub async fn find(client: &Client, id: Uuid) -> Result<Option<UserRow>, DbError> {
    let row = client.query_opt(select!("WHERE id = $1"), &[&id]).await?;
    Ok(row.as_ref().map(Into::into))
}

pub async fn find_by_email(client: &Client, email: &str) -> Result<Option<UserRow>, DbError> {
    let row = client.query_opt(select!("WHERE email = $1"), &[&email]).await?;
    Ok(row.as_ref().map(Into::into))
}

pub async fn list(client: &Client) -> Result<Vec<UserRow>, DbError> {
    let rows = client.query(select!("ORDER BY created_at, id"), &[]).await?;
    Ok(rows.iter().map(Into::into).collect())
}

/// Violates `users_email_key` when there is such an account already.
pub async fn insert(
    client: &Client,
    email: &str,
    password_hash: &str,
    admin: bool,
) -> Result<Uuid, DbError> {
    let id = Uuid::now_v7();
    client
        .execute(
            "INSERT INTO users (id, email, password_hash, admin) VALUES ($1, $2, $3, $4)",
            &[&id, &email, &password_hash, &admin],
        )
        .await?;
    Ok(id)
}

/// False when the account is disabled, or its password is no longer the one that was right. In a transaction the row's lock
/// makes whoever disables it, or changes its password, wait, and they then see the session that is about to begin.
pub async fn set_signed_in(client: &Client, user: &UserRow) -> Result<bool, DbError> {
    let sql = "UPDATE users SET last_sign_in_at = now()
               WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL";
    Ok(client.execute(sql, &[&user.id, &user.password_hash]).await? == 1)
}

/// Until the transaction ends, nobody else changes the account or ends many of its sessions; false when there is none.
pub async fn lock(client: &Client, id: Uuid) -> Result<bool, DbError> {
    let sql = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE";
    Ok(client.query_opt(sql, &[&id]).await?.is_some())
}

/// Only if it is still the old one: a change of password meanwhile wins.
pub async fn set_password_hash(
    client: &Client,
    id: Uuid,
    old: &str,
    new: &str,
) -> Result<bool, DbError> {
    let sql = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    Ok(client.execute(sql, &[&id, &old, &new]).await? == 1)
}

/// What an administrator decides of an account; `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    pub disabled: Option<bool>,
    pub admin: Option<bool>,
}

/// The account as it is now; `None` when there is none. Its version goes up by itself.
pub async fn set_rights(
    client: &Client,
    id: Uuid,
    rights: Rights,
) -> Result<Option<UserRow>, DbError> {
    let sql = concat!(
        "UPDATE users SET
             disabled_at = CASE $2::boolean WHEN true THEN coalesce(disabled_at, now()) WHEN false THEN NULL ELSE disabled_at END,
             admin = coalesce($3::boolean, admin)
         WHERE id = $1 RETURNING ",
        columns!()
    );
    let row = client.query_opt(sql, &[&id, &rights.disabled, &rights.admin]).await?;
    Ok(row.as_ref().map(Into::into))
}

/// How many passwords were hashed with another pepper than this one, or with one before these had names.
pub async fn count_with_other_pepper(client: &Client, id: &str) -> Result<i64, DbError> {
    // A PHC string has the standard alphabet, our ids have the one for URLs.
    let sql = "SELECT count(*) FROM users
               WHERE position(',keyid=' || translate($1, '-_', '+/') || '$' IN password_hash) = 0";
    Ok(client.query_one(sql, &[&id]).await?.get(0))
}
