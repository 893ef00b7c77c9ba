//! An invitation becomes an account.

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    api::body::Body,
    auth::{access::Public, caller::Caller, password, session},
    error::{ApiError, FieldError},
    state::AppState,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    token: String,
    #[schema(format = Email)]
    email: String,
    #[schema(format = Password, min_length = 12, max_length = 128)]
    password: String,
}

#[derive(Serialize, ToSchema)]
struct AccountReply {
    id: Uuid,
    email: String,
}

/// `POST /api/v1/auth/invitation`: an invitation becomes an account.
#[utoipa::path(
    post, path = "/api/v1/auth/invitation", request_body = Acceptance,
    responses(
        (status = 201, body = AccountReply),
        (status = 400, description = "`invalid_fields`, `invalid_invitation`"),
        (status = 409, description = "`email_taken`"),
    ),
)]
pub async fn accept(
    _: Public,
    caller: Caller,
    Body(acceptance): Body<Acceptance>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let Acceptance { token, email, password } = acceptance;
    let Some(email) = password::email(&email) else {
        let error = FieldError::new("email", "must be an e-mail address");
        return Err(ApiError::Invalid(vec![error]));
    };
    password::check(&password, &email)
        .map_err(|problem| ApiError::Invalid(vec![FieldError::new("password", problem)]))?;
    let id = session::accept_invitation(&state, &token, &email, password, &caller).await?;
    Ok(HttpResponse::Created().json(AccountReply { id, email }))
}
