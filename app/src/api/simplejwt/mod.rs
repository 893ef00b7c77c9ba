//! The four addresses of djangorestframework-simplejwt, so that its clients need no change: its fields, its statuses, its
//! bodies. The sessions are the same as those of `/api/v1/auth/token`; a refresh token is of one use, as with Django's
//! `ROTATE_REFRESH_TOKENS` and `BLACKLIST_AFTER_ROTATION`. Where the two differ, we are stricter with tokens (one that is used
//! twice ends its session, and a sign-out the access token, too), and forgive a lost answer for ten seconds; OPTIONS and
//! `multipart/form-data` are not answered.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    auth::{
        access::{self, Public},
        caller::Caller,
        password,
        session::{self, Issued, Kind},
    },
    error::{ApiError, FieldError, TokenError},
    state::AppState,
};
use fields::Fields;
use schemas::{SimpleJwtCredentials, SimpleJwtRefresh, SimpleJwtToken};

mod fields;
mod refusal;
mod schemas;

pub use refusal::refusal;
pub use schemas::SimpleJwtRefusal;

/// What all of them begin with.
pub const PREFIX: &str = "/api/token/";

#[derive(Serialize, ToSchema)]
struct SimpleJwtPair {
    access: String,
    refresh: String,
}

fn reply(Issued { access, refresh_token }: Issued) -> HttpResponse {
    HttpResponse::Ok().json(SimpleJwtPair { access: access.access_token, refresh: refresh_token })
}

fn done() -> HttpResponse {
    HttpResponse::Ok().json(json!({}))
}

/// `POST /api/token/`: signs a program in.
#[utoipa::path(
    post, path = "/api/token/",
    request_body(content((SimpleJwtCredentials = "application/json"), (SimpleJwtCredentials = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = SimpleJwtPair), (status = 401), (status = 429)),
)]
pub async fn create(
    _: Public,
    caller: Caller,
    fields: Fields,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (email, password) = fields.credentials()?;
    // What nobody can have is nobody's.
    let email = password::email(&email).filter(|_| password.len() <= password::LONGEST_BYTES);
    let email = email.ok_or(ApiError::WrongCredentials)?;
    Ok(reply(session::sign_in(&state, &email, password, Kind::Program, &caller).await?))
}

/// `POST /api/token/refresh/`: the next pair of tokens, for a refresh token that is then used up.
#[utoipa::path(
    post, path = "/api/token/refresh/",
    request_body(content((SimpleJwtRefresh = "application/json"), (SimpleJwtRefresh = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = SimpleJwtPair), (status = 401), (status = 429)),
)]
pub async fn refresh(
    _: Public,
    caller: Caller,
    fields: Fields,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let token = fields.token("refresh")?;
    match session::refresh(&state, &token, Kind::Program, &caller).await {
        Err(ApiError::InvalidGrant) => {
            // Its clients are told what is wrong with their own token.
            session::check(&state, &token, Kind::Program).await?;
            Err(ApiError::Token(TokenError::Invalid))
        }
        issued => Ok(reply(issued?)),
    }
}

/// `POST /api/token/verify/`: whether an access token or a refresh token is good.
#[utoipa::path(
    post, path = "/api/token/verify/",
    request_body(content((SimpleJwtToken = "application/json"), (SimpleJwtToken = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Object), (status = 401)),
)]
pub async fn verify(
    _: Public,
    request: HttpRequest,
    fields: Fields,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let token = fields.token("token")?;
    if state.refresh.read(&token).is_none() {
        access::believe(&state, &token, &request)?;
        return Ok(done());
    }
    match session::check(&state, &token, Kind::Program).await {
        // Here, and only here, SimpleJWT takes the list of such tokens for a rule about fields.
        Err(ApiError::Token(TokenError::Revoked)) => {
            Err(ApiError::Invalid(vec![FieldError::new(fields::NONE, refusal::BLACKLISTED)]))
        }
        checked => checked.map(|()| done()),
    }
}

/// `POST /api/token/blacklist/`: ends a refresh token's session.
#[utoipa::path(
    post, path = "/api/token/blacklist/",
    request_body(content((SimpleJwtRefresh = "application/json"), (SimpleJwtRefresh = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Object), (status = 401)),
)]
pub async fn blacklist(
    _: Public,
    caller: Caller,
    fields: Fields,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let token = fields.token("refresh")?;
    let checked = session::check(&state, &token, Kind::Program).await;
    // Also by a token that was used before: the session of whoever lost the answer ends all the same.
    session::revoke(&state, &token, &caller).await?;
    checked.map(|()| done())
}
