//! Accounts, for administrators.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, body::Body, time_text};
use crate::{
    auth::{
        access::{Account, Permission as _, Require, Users},
        account,
        caller::Caller,
        session,
    },
    db::users::{self, Rights, UserRow},
    error::{ApiError, FieldError},
    state::AppState,
};

#[derive(Serialize, ToSchema)]
struct UserReply {
    id: Uuid,
    email: String,
    admin: bool,
    disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<UserRow> for UserReply {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            admin: row.admin,
            disabled: row.disabled_at.is_some(),
            created_at: time_text(row.created_at),
        }
    }
}

/// `GET /api/v1/users`: all accounts.
#[utoipa::path(get, path = "/api/v1/users", responses((status = 200, body = Items<UserReply>)))]
pub async fn list(_: Require<Users>, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let rows = users::list(&state.db.get().await?).await?;
    let items = rows.into_iter().map(UserReply::from).collect();
    Ok(HttpResponse::Ok().json(Items { items }))
}

/// `GET /api/v1/users/{id}`: one account.
#[utoipa::path(get, path = "/api/v1/users/{id}", responses((status = 200, body = UserReply)))]
pub async fn show(
    _: Require<Users>,
    id: Path<Uuid>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let row = users::find(&state.db.get().await?, *id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(UserReply::from(row)))
}

/// At least one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    disabled: Option<bool>,
    admin: Option<bool>,
}

/// `PATCH /api/v1/users/{id}`: disables or enables an account, makes it an administrator or not.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", request_body = UserPatch,
    responses(
        (status = 200, body = UserReply),
        (status = 400, description = "`invalid_fields`"),
        (status = 409, description = "`own_account`"),
    ),
)]
pub async fn update(
    Require { user, .. }: Require<Users>,
    id: Path<Uuid>,
    Body(patch): Body<UserPatch>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rights = Rights { disabled: patch.disabled, admin: patch.admin };
    if rights == Rights::default() {
        let error = FieldError::new("disabled", "must be given, or `admin`");
        return Err(ApiError::Invalid(vec![error]));
    }
    // An API key that leaks shall make no administrators.
    if rights.admin.is_some() && !user.has(Account::SCOPE) {
        return Err(ApiError::InsufficientScope);
    }
    let row = account::set_rights(&state, &user, *id, rights, &caller).await?;
    Ok(HttpResponse::Ok().json(UserReply::from(row)))
}

/// `DELETE /api/v1/users/{id}/sessions`: signs an account out everywhere.
#[utoipa::path(delete, path = "/api/v1/users/{id}/sessions", responses((status = 204)))]
pub async fn end_sessions(
    _: Require<Users>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::end_all(&state, *id, None, "by_admin", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /api/v1/users/{id}/sessions/{session}`: ends one session of an account.
#[utoipa::path(delete, path = "/api/v1/users/{id}/sessions/{session}", responses((status = 204)))]
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
