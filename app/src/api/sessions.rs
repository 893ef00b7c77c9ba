//! One's own sessions.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::time_text;
use crate::{
    auth::{
        access::{Account, Require},
        caller::Caller,
        session,
    },
    db::sessions,
    error::ApiError,
    state::AppState,
};

/// `GET /api/v1/sessions`
pub async fn list(
    Require { user, .. }: Require<Account>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rows = sessions::list(&state.db.get().await?, user.id).await?;
    let items = rows.iter().map(|row| {
        json!({
            "id": row.id,
            "created_at": time_text(row.created_at),
            "last_used_at": time_text(row.last_used_at),
            "ip": row.ip,
            "user_agent": row.user_agent,
            "current": row.id == user.session,
        })
    });
    Ok(HttpResponse::Ok().json(json!({"items": items.collect::<Vec<Value>>()})))
}

/// `DELETE /api/v1/sessions/{id}`
pub async fn delete(
    Require { user, .. }: Require<Account>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::end_one(&state, user.id, *id, "by_user", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /api/v1/sessions`: all but the one that asks.
pub async fn delete_others(
    Require { user, .. }: Require<Account>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::end_all(&state, user.id, Some(user.session), "by_user", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
