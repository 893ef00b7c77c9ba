//! Oneself.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use crate::{auth::access::CurrentUser, db::users, error::ApiError, state::AppState};

use super::time_text;

/// `GET /api/v1/me`
pub async fn show(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    // An account that is gone has no token that is good.
    let row = users::find(&state.db.get().await?, user.id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(json!({
        "id": row.id,
        "email": row.email,
        "admin": row.admin,
        "scope": user.scope,
        "created_at": time_text(row.created_at),
    })))
}
