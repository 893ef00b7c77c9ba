//! One's own sessions.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::time_text;
use crate::{auth::access::CurrentUser, db::sessions, error::ApiError, state::AppState};

/// `GET /api/v1/sessions`
pub async fn list(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
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
    user: CurrentUser,
    id: Path<Uuid>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    match sessions::end_own(&state.db.get().await?, user.id, *id).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::NotFound),
    }
}
