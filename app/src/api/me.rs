//! Oneself.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use crate::{
    auth::access::CurrentUser,
    db::users,
    error::{ApiError, TokenError},
    state::AppState,
};

use super::time_text;

/// `GET /api/v1/me`
pub async fn show(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let row = users::find(&state.db.get().await?, user.id).await?;
    // An account that is not there has no token that is good.
    let row = row.ok_or(ApiError::Token(TokenError::Invalid))?;
    Ok(HttpResponse::Ok().json(json!({
        "id": row.id,
        "email": row.email,
        "admin": row.admin,
        "scope": user.scope,
        "created_at": time_text(row.created_at),
    })))
}
