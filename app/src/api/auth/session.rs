//! For browsers: the refresh token in a cookie that no script can read.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::Credentials;
use crate::{
    api::body::Body,
    auth::{
        access::{MaybeUser, Public},
        browser::{self, OwnPage},
        caller::Caller,
        device,
        session::{self, AccessReply, Kind},
    },
    error::ApiError,
    state::AppState,
};

/// `POST /api/v1/auth/session`: signs a browser in; the reply sets the cookie.
#[utoipa::path(
    post, path = "/api/v1/auth/session", params(OwnPage), request_body = Credentials,
    responses(
        (status = 200, body = AccessReply, headers(("set-cookie" = String))),
        (status = 400, description = "`invalid_fields`"),
        (status = 401, description = "`wrong_credentials`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn create(
    _: Public,
    _: OwnPage,
    caller: Caller,
    Body(credentials): Body<Credentials>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (email, password) = credentials.check()?;
    let issued = session::sign_in(&state, &email, password, Kind::Browser, &caller).await?;
    let keys = state.refresh.0.get();
    let device = device::issue(&keys, caller.device.as_deref(), &email, state.now());
    let mut reply = issued.reply(Kind::Browser);
    reply.add_cookie(&browser::know(device)).map_err(ApiError::internal)?;
    Ok(reply)
}

/// `POST /api/v1/auth/session/refresh`: the next access token, and the next cookie.
#[utoipa::path(
    post, path = "/api/v1/auth/session/refresh", params(OwnPage), security(("cookie" = [])),
    responses(
        (status = 200, body = AccessReply, headers(("set-cookie" = String))),
        (status = 400, description = "`invalid_grant`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn refresh(
    _: Public,
    _: OwnPage,
    request: HttpRequest,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let token = browser::refresh_token(&request);
    let issued = session::refresh(&state, &token, Kind::Browser, &caller).await?;
    Ok(issued.reply(Kind::Browser))
}

/// `DELETE /api/v1/auth/session`: ends the access token's session if there is one, else the cookie's.
#[utoipa::path(
    delete, path = "/api/v1/auth/session", params(OwnPage), security(("cookie" = [])),
    responses((status = 204, headers(("set-cookie" = String)))),
)]
pub async fn delete(
    MaybeUser(user): MaybeUser,
    _: OwnPage,
    request: HttpRequest,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    match user {
        Some(user) => session::end(&state, user.session, &caller).await?,
        None => session::revoke(&state, &browser::refresh_token(&request), &caller).await?,
    }
    Ok(HttpResponse::NoContent().cookie(browser::forget()).finish())
}
