//! For browsers: the refresh token in a cookie that no script can read.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json},
};

use super::Credentials;
use crate::{
    auth::{
        access::{MaybeUser, Public},
        browser::{self, OwnPage},
        session::{self, Issued, Kind, Origin},
    },
    db::sessions,
    error::ApiError,
    state::AppState,
};

fn reply(Issued { access, refresh_token }: Issued) -> HttpResponse {
    HttpResponse::Ok().cookie(browser::keep(refresh_token)).json(access)
}

/// `POST /api/v1/auth/session`
pub async fn create(
    _: Public,
    _: OwnPage,
    request: HttpRequest,
    credentials: Json<Credentials>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (email, password) = credentials.into_inner().check()?;
    let origin = Origin::of(&request, Kind::Browser);
    Ok(reply(session::sign_in(&state, &email, password, origin).await?))
}

/// `POST /api/v1/auth/session/refresh`
pub async fn refresh(
    _: Public,
    _: OwnPage,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let origin = Origin::of(&request, Kind::Browser);
    Ok(reply(session::refresh(&state, &browser::refresh_token(&request), &origin).await?))
}

/// `DELETE /api/v1/auth/session`: the access token's session if there is one, else the cookie's.
pub async fn delete(
    MaybeUser(user): MaybeUser,
    _: OwnPage,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    match user {
        Some(user) => sessions::end(&state.db.get().await?, user.session).await?,
        None => session::revoke(&state, &browser::refresh_token(&request)).await?,
    }
    Ok(HttpResponse::NoContent().cookie(browser::forget()).finish())
}
