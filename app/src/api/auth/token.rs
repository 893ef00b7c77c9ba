//! For programs: the refresh token in the reply, for the caller to keep.

use actix_web::{
    HttpResponse,
    web::{Data, Form, Json},
};
use serde::{Deserialize, Serialize};

use super::Credentials;
use crate::{
    auth::{
        access::Public,
        caller::Caller,
        session::{self, AccessReply, Issued, Kind},
    },
    error::ApiError,
    state::AppState,
};

#[derive(Serialize)]
struct TokenReply {
    #[serde(flatten)]
    access: AccessReply,
    refresh_token: String,
}

impl From<Issued> for HttpResponse {
    fn from(Issued { access, refresh_token }: Issued) -> Self {
        Self::Ok().json(TokenReply { access, refresh_token })
    }
}

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
    Ok(session::sign_in(&state, &email, password, Kind::Program, &caller).await?.into())
}

/// `POST /api/v1/auth/token/refresh`
pub async fn refresh(
    _: Public,
    caller: Caller,
    refresh: Json<Refresh>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    Ok(session::refresh(&state, &refresh.refresh_token, Kind::Program, &caller).await?.into())
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
