//! Accounts, for administrators.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::time_text;
use crate::{
    auth::{
        access::{Require, Users},
        account,
        caller::Caller,
        session,
    },
    db::users::{self, Rights, UserRow},
    error::{ApiError, FieldError},
    state::AppState,
};

fn reply(row: &UserRow) -> Value {
    json!({
        "id": row.id,
        "email": row.email,
        "admin": row.admin,
        "disabled": row.disabled_at.is_some(),
        "created_at": time_text(row.created_at),
    })
}

/// `GET /api/v1/users`
pub async fn list(_: Require<Users>, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let rows = users::list(&state.db.get().await?).await?;
    Ok(HttpResponse::Ok().json(json!({"items": rows.iter().map(reply).collect::<Vec<_>>()})))
}

/// `GET /api/v1/users/{id}`
pub async fn show(
    _: Require<Users>,
    id: Path<Uuid>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let row = users::find(&state.db.get().await?, *id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(reply(&row)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    disabled: Option<bool>,
    admin: Option<bool>,
}

/// `PATCH /api/v1/users/{id}`
pub async fn update(
    Require { user, .. }: Require<Users>,
    id: Path<Uuid>,
    patch: Json<UserPatch>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rights = Rights { disabled: patch.disabled, admin: patch.admin };
    if rights == Rights::default() {
        let error = FieldError::new("disabled", "must be given, or `admin`");
        return Err(ApiError::Invalid(vec![error]));
    }
    let row = account::set_rights(&state, &user, *id, rights, &caller).await?;
    Ok(HttpResponse::Ok().json(reply(&row)))
}

/// `DELETE /api/v1/users/{id}/sessions`
pub async fn end_sessions(
    _: Require<Users>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::end_all(&state, *id, None, "by_admin", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /api/v1/users/{id}/sessions/{session}`
pub async fn end_session(
    _: Require<Users>,
    path: Path<(Uuid, Uuid)>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = path.into_inner();
    session::end_one(&state, user, id, "by_admin", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
