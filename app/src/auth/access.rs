//! The first argument of every handler, which says who may come in. It cannot be forgotten: a
//! handler without one is no route.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
    ops::Deref,
    rc::Rc,
};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header::AUTHORIZATION,
    web::Data,
};
use futures_util::future::{Either, FutureExt as _, LocalBoxFuture};
use uuid::Uuid;

use super::{
    api_key,
    cache::{Known, TokenCache},
};
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

/// Whoever has a good access token or API key.
#[derive(Clone)]
pub struct CurrentUser(Rc<Known>);

/// Whoever has a good access token or API key with `P` in its scope.
pub struct Require<P> {
    pub user: CurrentUser,
    permission: PhantomData<P>,
}

/// A word in a token's scope (RFC 6749 section 3.3).
pub trait Permission: 'static {
    const SCOPE: &'static str;
}

macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident = $word:literal),+ $(,)?) => {
        $(
            $(#[$meta])*
            pub struct $name;

            impl Permission for $name {
                const SCOPE: &'static str = $word;
            }
        )+
    };
}

permissions! {
    /// One's own account: password, sessions, API keys. No API key can have it.
    Account = "account",
    Notes = "notes",
    /// May see and manage accounts.
    Users = "users",
}

/// What an account's tokens may do.
pub fn scope_of(admin: bool) -> &'static str {
    if admin { "account notes users" } else { "account notes" }
}

/// Who asked, for the log line of a refusal.
#[derive(Clone, Copy)]
pub struct Asker(pub Uuid);

impl Deref for CurrentUser {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.0
    }
}

impl CurrentUser {
    pub fn has(&self, permission: &str) -> bool {
        self.scope.split(' ').any(|word| word == permission)
    }

    /// 403 without it; `request` is told whose it was.
    pub fn needs(&self, permission: &str, request: &HttpRequest) -> Result<(), ApiError> {
        // An empty scope is no empty word.
        if !permission.is_empty() && self.has(permission) {
            return Ok(());
        }
        request.extensions_mut().insert(Asker(self.id));
        Err(ApiError::InsufficientScope)
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

/// Ready at once for an access token; an API key that this worker does not know yet needs a query.
type Answer<T> = Either<Ready<Result<T, ApiError>>, LocalBoxFuture<'static, Result<T, ApiError>>>;

fn now<T>(result: Result<T, ApiError>) -> Answer<T> {
    Either::Left(ready(result))
}

fn user(request: &HttpRequest) -> Answer<Option<CurrentUser>> {
    let token = match bearer(request) {
        Ok(Some(token)) => token,
        Ok(None) => return now(Ok(None)),
        Err(error) => return now(Err(error)),
    };
    let state = request.app_data::<Data<AppState>>().expect("registered with the app");
    let cache = request.app_data::<Rc<TokenCache>>().expect("registered with the app");
    match cache.find(state, token) {
        Ok(None) if token.starts_with(api_key::PREFIX) => {
            let (state, cache, token) = (state.clone(), cache.clone(), token.to_owned());
            let look = async move {
                let known = api_key::believe(&state, &token).await?;
                Ok(Some(CurrentUser(cache.keep(&state, &token, known))))
            };
            Either::Right(look.boxed_local())
        }
        Ok(None) => {
            let known = believe(state, token).map(|known| cache.keep(state, token, known));
            now(known.map(|known| Some(CurrentUser(known))))
        }
        found => now(found.map(|known| known.map(CurrentUser))),
    }
}

/// Without a query: by the token's signature and claims, and by what is known to have ended.
pub fn believe(state: &AppState, token: &str) -> Result<Known, ApiError> {
    let (epoch, version) = (state.control.epoch()?, state.keys.version());
    let claims = state.issuer.verify(&state.keys.get(), token, state.now());
    let judged = claims.and_then(|claims| {
        state.control.judge(claims.sub, claims.sid, claims.ver)?;
        Ok(claims)
    });
    judged.map(|claims| Known::of(claims, epoch, version)).map_err(ApiError::Token)
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
    type Future = Answer<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        then(user(request), |user| Ok(Self(user)))
    }
}

impl FromRequest for CurrentUser {
    type Error = ApiError;
    type Future = Answer<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        then(user(request), |user| user.ok_or(ApiError::Unauthenticated))
    }
}

impl<P: Permission> FromRequest for Require<P> {
    type Error = ApiError;
    type Future = Answer<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asked = request.clone();
        then(user(request), move |user| {
            let user = user.ok_or(ApiError::Unauthenticated)?;
            user.needs(P::SCOPE, &asked)?;
            Ok(Self { user, permission: PhantomData })
        })
    }
}

fn then<T, U: 'static>(
    answer: Answer<T>,
    step: impl FnOnce(T) -> Result<U, ApiError> + 'static,
) -> Answer<U>
where
    T: 'static,
{
    match answer {
        Either::Left(known) => now(known.into_inner().and_then(step)),
        Either::Right(look) => Either::Right(look.map(|known| known.and_then(step)).boxed_local()),
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
