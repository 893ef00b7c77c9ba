//! Notes: the model for a resource of your own.

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{body::Body, time_text};
use crate::{
    auth::access::{Notes, Require},
    db::notes::{self, NoteRow},
    error::{ApiError, FieldError},
    state::AppState,
};

const TITLE: usize = 200;
const BODY: usize = 20_000;
const PAGE: i64 = 20;
const LARGEST_PAGE: i64 = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[serde(default)]
    #[schema(max_length = 20_000)]
    body: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotePatch {
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    #[schema(max_length = 20_000)]
    body: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// Those behind this note: `next` of the page before.
    after: Option<Uuid>,
}

#[derive(Serialize, ToSchema)]
struct NoteReply {
    id: Uuid,
    title: String,
    body: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
struct NotesReply {
    items: Vec<NoteReply>,
    /// `after` of the next page, if there is one.
    next: Option<Uuid>,
}

impl From<NoteRow> for NoteReply {
    fn from(row: NoteRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            body: row.body,
            created_at: time_text(row.created_at),
            updated_at: time_text(row.updated_at),
        }
    }
}

/// The same rules as the table's, so that the answer can name the field.
fn check(title: Option<&str>, body: Option<&str>) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    if title.is_some_and(|title| title.trim().is_empty() || title.chars().count() > TITLE) {
        errors.push(FieldError::new("title", "must have 1 to 200 characters"));
    }
    if body.is_some_and(|body| body.chars().count() > BODY) {
        errors.push(FieldError::new("body", "must have at most 20,000 characters"));
    }
    for (field, text) in [("title", title), ("body", body)] {
        // PostgreSQL's text holds every character but this one.
        if text.is_some_and(|text| text.contains('\0')) {
            errors.push(FieldError::new(field, "must not contain NUL"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(errors)) }
}

/// `POST /api/v1/notes`: a new note.
#[utoipa::path(
    post, path = "/api/v1/notes", request_body = NewNote,
    responses(
        (status = 201, body = NoteReply, headers(("location" = String))),
        (status = 400, description = "`invalid_fields`"),
    ),
)]
pub async fn create(
    Require { user, .. }: Require<Notes>,
    Body(note): Body<NewNote>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    check(Some(&note.title), Some(&note.body))?;
    let row = notes::insert(&state.db.get().await?, user.id, &note.title, &note.body).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/api/v1/notes/{}", row.id)))
        .json(NoteReply::from(row)))
}

/// `GET /api/v1/notes`: one's own notes, newest first.
#[utoipa::path(
    get, path = "/api/v1/notes", params(Page),
    responses((status = 200, body = NotesReply), (status = 400, description = "`invalid_fields`")),
)]
pub async fn list(
    Require { user, .. }: Require<Notes>,
    page: Query<Page>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(ApiError::Invalid(vec![FieldError::new("limit", "must be 1 to 100")]));
    }
    let after = page.after.unwrap_or(Uuid::max());
    // One more than asked for tells whether there is a next page.
    let mut rows = notes::list(&state.db.get().await?, user.id, after, limit + 1).await?;
    let more = rows.len() as i64 > limit;
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| row.id);
    let items = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(NotesReply { items, next }))
}

/// `GET /api/v1/notes/{id}`: one note.
#[utoipa::path(get, path = "/api/v1/notes/{id}", responses((status = 200, body = NoteReply)))]
pub async fn show(
    Require { user, .. }: Require<Notes>,
    id: Path<Uuid>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let row = notes::find(&state.db.get().await?, user.id, *id).await?;
    Ok(HttpResponse::Ok().json(NoteReply::from(row.ok_or(ApiError::NotFound)?)))
}

/// `PATCH /api/v1/notes/{id}`: changes what is given, and leaves the rest.
#[utoipa::path(
    patch, path = "/api/v1/notes/{id}", request_body = NotePatch,
    responses((status = 200, body = NoteReply), (status = 400, description = "`invalid_fields`")),
)]
pub async fn update(
    Require { user, .. }: Require<Notes>,
    id: Path<Uuid>,
    Body(patch): Body<NotePatch>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (title, body) = (patch.title.as_deref(), patch.body.as_deref());
    check(title, body)?;
    let row = notes::update(&state.db.get().await?, user.id, *id, title, body).await?;
    Ok(HttpResponse::Ok().json(NoteReply::from(row.ok_or(ApiError::NotFound)?)))
}

/// `DELETE /api/v1/notes/{id}`: for good.
#[utoipa::path(delete, path = "/api/v1/notes/{id}", responses((status = 204)))]
pub async fn delete(
    Require { user, .. }: Require<Notes>,
    id: Path<Uuid>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    match notes::delete(&state.db.get().await?, user.id, *id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::NotFound),
    }
}
