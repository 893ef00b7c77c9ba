//! Oneself.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::access::CurrentUser,
    db::users,
    error::{ApiError, TokenError},
    state::AppState,
};

use super::time_text;

#[derive(Serialize, ToSchema)]
struct MeReply<'a> {
    id: Uuid,
    email: &'a str,
    admin: bool,
    /// What this token or key may do: words with a space between them.
    scope: &'a str,
    #[schema(format = DateTime)]
    created_at: String,
}

/// `GET /api/v1/me`: one's own account.
#[utoipa::path(get, path = "/api/v1/me", responses((status = 200, body = MeReply)))]
pub async fn show(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    // Read once for a token: whatever would change the answer ends the token.
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
    let answer = MeReply {
        id: row.id,
        email: &row.email,
        admin: row.admin,
        scope: &user.scope,
        created_at: time_text(row.created_at),
    };
    Ok(serde_json::to_vec(&answer).expect("strings and flags are JSON").into())
}
