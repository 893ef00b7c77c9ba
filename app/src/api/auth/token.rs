//! For programs: the refresh token in the reply, for the caller to keep.

use actix_web::{
    HttpResponse,
    web::{Data, Form, Json},
};
use serde::Deserialize;

use super::Credentials;
use crate::{
    auth::{
        access::Public,
        caller::Caller,
        session::{self, Kind},
    },
    error::ApiError,
    state::AppState,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
pub struct Revocation {
    token: String,
}

/// `POST /api/v1/auth/token`
pub async fn create(
    _: Public,
    caller: Caller,
    credentials: Json<Credentials>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (email, password) = credentials.into_inner().check()?;
    let issued = session::sign_in(&state, &email, password, Kind::Program, &caller).await?;
    Ok(issued.reply(Kind::Program))
}

/// `POST /api/v1/auth/token/refresh`
pub async fn refresh(
    _: Public,
    caller: Caller,
    refresh: Json<Refresh>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let issued = session::refresh(&state, &refresh.refresh_token, Kind::Program, &caller).await?;
    Ok(issued.reply(Kind::Program))
}

/// `POST /api/v1/auth/token/revoke` (RFC 7009): 200 also for what is no token.
pub async fn revoke(
    _: Public,
    caller: Caller,
    revocation: Form<Revocation>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::revoke(&state, &revocation.token, &caller).await?;
    Ok(HttpResponse::Ok().finish())
}
