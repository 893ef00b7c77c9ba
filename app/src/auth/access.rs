//! The first argument of every handler, which says who may come in. It cannot be forgotten: a
//! handler without one is no route.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data};
use uuid::Uuid;

use super::token::Claims;
use crate::{error::ApiError, state::AppState};

/// Implemented only here.
pub trait Access: FromRequest + 'static {
    /// For the route table: who may come in.
    const WHO: &'static str;
}

/// Everyone, whatever their Authorization header says: a client with an expired token must still be
/// able to sign in.
pub struct Public;

/// Everyone; but a bad token is refused, so that nobody takes themselves for signed in.
pub struct MaybeUser(pub Option<CurrentUser>);

/// Whoever has a good access token.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    pub id: Uuid,
    pub session: Uuid,
    pub scope: String,
}

/// Whoever has a good access token with `P` in its scope.
pub struct Require<P> {
    pub user: CurrentUser,
    permission: PhantomData<P>,
}

/// A word in a token's scope (RFC 6749 section 3.3).
pub trait Permission: 'static {
    const SCOPE: &'static str;
}

/// May see and manage accounts.
pub struct Users;

impl Permission for Users {
    const SCOPE: &'static str = "users";
}

/// What an account's tokens may do.
pub fn scope_of(admin: bool) -> &'static str {
    if admin { "account notes users" } else { "account notes" }
}

impl From<Claims> for CurrentUser {
    fn from(claims: Claims) -> Self {
        Self { id: claims.sub, session: claims.sid, scope: claims.scope }
    }
}

impl CurrentUser {
    pub fn may<P: Permission>(&self) -> bool {
        self.scope.split(' ').any(|word| word == P::SCOPE)
    }
}

/// The token of the one Authorization header, if there is one (RFC 6750 section 2.1).
fn bearer(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (header, more) = (headers.next(), headers.next());
    if more.is_some() {
        return Err(ApiError::MalformedAuthorization);
    }
    let Some(header) = header else { return Ok(None) };
    let header = header.to_str().map_err(|_| ApiError::MalformedAuthorization)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return match scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Err(ApiError::Unauthenticated),
            false => Err(ApiError::MalformedAuthorization),
        };
    }
    if token.is_empty() || token.contains([' ', '\t']) {
        return Err(ApiError::MalformedAuthorization);
    }
    Ok(Some(token))
}

fn user(request: &HttpRequest) -> Result<Option<CurrentUser>, ApiError> {
    let Some(token) = bearer(request)? else { return Ok(None) };
    let state = request.app_data::<Data<AppState>>().expect("registered with the app");
    let claims = state.issuer.verify(&state.keys, token, state.now()).map_err(ApiError::Token)?;
    Ok(Some(claims.into()))
}

impl FromRequest for Public {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

impl FromRequest for MaybeUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(user(request).map(Self))
    }
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(user(request).and_then(|user| user.ok_or(ApiError::Unauthenticated)))
    }
}

impl<P: Permission> FromRequest for Require<P> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user = CurrentUser::from_request(request, payload).into_inner();
        ready(user.and_then(|user| match user.may::<P>() {
            true => Ok(Self { user, permission: PhantomData }),
            false => Err(ApiError::InsufficientScope),
        }))
    }
}

impl Access for Public {
    const WHO: &'static str = "everyone";
}

impl Access for MaybeUser {
    const WHO: &'static str = "everyone, without a bad token";
}

impl Access for CurrentUser {
    const WHO: &'static str = "signed in";
}

impl<P: Permission> Access for Require<P> {
    const WHO: &'static str = P::SCOPE;
}
