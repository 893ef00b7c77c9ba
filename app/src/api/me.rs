//! Oneself.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data, Json},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    auth::{
        access::{Account, CurrentUser, Require},
        account,
        caller::Caller,
    },
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    current_password: String,
    new_password: String,
}

/// `POST /api/v1/me/password`: answers as a refresh of this session would.
pub async fn change_password(
    Require { user, .. }: Require<Account>,
    passwords: Json<NewPassword>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let NewPassword { current_password, new_password } = passwords.into_inner();
    let (kind, issued) =
        account::change_password(&state, &user, current_password, new_password, &caller).await?;
    Ok(issued.reply(kind))
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
