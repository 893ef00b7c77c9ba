//! An invitation becomes an account.

use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    auth::{access::Public, caller::Caller, password, session},
    error::{ApiError, FieldError},
    state::AppState,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    token: String,
    email: String,
    password: String,
}

/// `POST /api/v1/auth/invitation`
pub async fn accept(
    _: Public,
    caller: Caller,
    acceptance: Json<Acceptance>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let Acceptance { token, email, password } = acceptance.into_inner();
    let Some(email) = password::email(&email) else {
        let error = FieldError::new("email", "must be an e-mail address");
        return Err(ApiError::Invalid(vec![error]));
    };
    password::check(&password, &email)
        .map_err(|problem| ApiError::Invalid(vec![FieldError::new("password", problem)]))?;
    let id = session::accept_invitation(&state, &token, &email, password, &caller).await?;
    Ok(HttpResponse::Created().json(json!({"id": id, "email": email})))
}
