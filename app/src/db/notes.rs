//! Notes: the model for a resource of your own.

use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Client, DbError};

pub struct NoteRow {
    pub id: Uuid,
    pub title: String,
    pub body: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl From<&Row> for NoteRow {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            title: row.get("title"),
            body: row.get("body"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
        }
    }
}

pub async fn insert(
    client: &Client,
    owner: Uuid,
    title: &str,
    body: &str,
) -> Result<NoteRow, DbError> {
    let sql = "INSERT INTO notes (id, owner_id, title, body) VALUES ($1, $2, $3, $4) RETURNING id, title, body, created_at, updated_at";
    let row = client.query_one(sql, &[&Uuid::now_v7(), &owner, &title, &body]).await?;
    Ok((&row).into())
}

/// Newest first, from behind `after`.
pub async fn list(
    client: &Client,
    owner: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<NoteRow>, DbError> {
    let sql = "SELECT id, title, body, created_at, updated_at FROM notes WHERE owner_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    let rows = client.query(sql, &[&owner, &after, &limit]).await?;
    Ok(rows.iter().map(Into::into).collect())
}

pub async fn find(client: &Client, owner: Uuid, id: Uuid) -> Result<Option<NoteRow>, DbError> {
    let sql =
        "SELECT id, title, body, created_at, updated_at FROM notes WHERE id = $1 AND owner_id = $2";
    let row = client.query_opt(sql, &[&id, &owner]).await?;
    Ok(row.as_ref().map(Into::into))
}

/// `None` leaves a field as it is.
pub async fn update(
    client: &Client,
    owner: Uuid,
    id: Uuid,
    title: Option<&str>,
    body: Option<&str>,
) -> Result<Option<NoteRow>, DbError> {
    let sql = "UPDATE notes SET title = coalesce($3, title), body = coalesce($4, body), updated_at = now()
               WHERE id = $1 AND owner_id = $2 RETURNING id, title, body, created_at, updated_at";
    let row = client.query_opt(sql, &[&id, &owner, &title, &body]).await?;
    Ok(row.as_ref().map(Into::into))
}

pub async fn delete(client: &Client, owner: Uuid, id: Uuid) -> Result<bool, DbError> {
    let sql = "DELETE FROM notes WHERE id = $1 AND owner_id = $2";
    Ok(client.execute(sql, &[&id, &owner]).await? == 1)
}
