//! One's password.

use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use serde::Deserialize;

use crate::{
    auth::{
        access::{Account, Require},
        account,
        caller::Caller,
    },
    error::ApiError,
    state::AppState,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    current_password: String,
    new_password: String,
}

/// `POST /api/v1/auth/password`: answers as a refresh of this session would.
pub async fn change(
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
