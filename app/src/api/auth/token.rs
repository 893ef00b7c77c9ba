//! For programs: the refresh token in the reply, for the caller to keep.

use actix_web::{
    HttpResponse,
    web::{Data, Form},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Credentials, TokenReply};
use crate::{
    api::body::Body,
    auth::{
        access::Public,
        caller::Caller,
        session::{self, Kind},
    },
    error::ApiError,
    state::AppState,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize, ToSchema)]
pub struct Revocation {
    token: String,
}

/// `POST /api/v1/auth/token`: signs a program in.
#[utoipa::path(
    post, path = "/api/v1/auth/token", request_body = Credentials,
    responses(
        (status = 200, body = TokenReply),
        (status = 400, description = "`invalid_fields`"),
        (status = 401, description = "`wrong_credentials`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn create(
    _: Public,
    caller: Caller,
    Body(credentials): Body<Credentials>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (email, password) = credentials.check()?;
    let issued = session::sign_in(&state, &email, password, Kind::Program, &caller).await?;
    Ok(issued.reply(Kind::Program))
}

/// `POST /api/v1/auth/token/refresh`: the next pair of tokens, for a refresh token that is then used up.
#[utoipa::path(
    post, path = "/api/v1/auth/token/refresh", request_body = Refresh,
    responses(
        (status = 200, body = TokenReply),
        (status = 400, description = "`invalid_grant`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn refresh(
    _: Public,
    caller: Caller,
    Body(refresh): Body<Refresh>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let issued = session::refresh(&state, &refresh.refresh_token, Kind::Program, &caller).await?;
    Ok(issued.reply(Kind::Program))
}

/// `POST /api/v1/auth/token/revoke`: ends a refresh token's session (RFC 7009); 200 also for what is no token.
#[utoipa::path(
    post, path = "/api/v1/auth/token/revoke",
    request_body(content = Revocation, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200)),
)]
pub async fn revoke(
    _: Public,
    caller: Caller,
    revocation: Form<Revocation>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::revoke(&state, &revocation.token, &caller).await?;
    Ok(HttpResponse::Ok().finish())
}
