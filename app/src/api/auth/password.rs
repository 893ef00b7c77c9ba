//! One's password.

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::body::Body,
    auth::{
        access::{Account, Require},
        account,
        caller::Caller,
        session::AccessReply,
    },
    error::ApiError,
    state::AppState,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    #[schema(format = Password)]
    current_password: String,
    #[schema(format = Password, min_length = 12, max_length = 128)]
    new_password: String,
}

/// `POST /api/v1/auth/password`: ends all sessions, and begins a new one in place of this one.
#[utoipa::path(
    post, path = "/api/v1/auth/password", request_body = NewPassword,
    responses(
        (status = 200, body = AccessReply,
            description = "For a program with its `refresh_token`, for a browser with its cookie"),
        (status = 400, description = "`invalid_fields`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn change(
    Require { user, .. }: Require<Account>,
    Body(passwords): Body<NewPassword>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let NewPassword { current_password, new_password } = passwords;
    let (kind, issued) =
        account::change_password(&state, &user, current_password, new_password, &caller).await?;
    Ok(issued.reply(kind))
}
