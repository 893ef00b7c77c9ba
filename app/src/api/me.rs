//! Oneself.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use serde_json::json;

use crate::{
    auth::access::CurrentUser,
    db::users,
    error::{ApiError, TokenError},
    state::AppState,
};

use super::time_text;

/// `GET /api/v1/me`: read once for a token. Whatever would change the answer ends the token.
pub async fn show(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let body = match user.me.get() {
        Some(body) => body.clone(),
        None => {
            let body = read(&user, &state).await?;
            user.me.get_or_init(|| body).clone()
        }
    };
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

pub(super) async fn read(user: &CurrentUser, state: &AppState) -> Result<Bytes, ApiError> {
    let row = users::find(&state.db.get().await?, user.id).await?;
    // The account is gone just now, and its tokens with it.
    let row = row.ok_or(ApiError::Token(TokenError::Revoked))?;
    let answer = json!({
        "id": row.id,
        "email": row.email,
        "admin": row.admin,
        "scope": user.scope,
        "created_at": time_text(row.created_at),
    });
    Ok(answer.to_string().into())
}
