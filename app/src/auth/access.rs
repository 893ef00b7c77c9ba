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
use uuid::Uuid;

use super::{
    api_key,
    cache::{Known, Sight, TokenCache},
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

/// An API key that was not believed; until an argument asks.
struct Refused(ApiError);

/// Before any argument of the handler: an API key may cost a query, and actix asks all arguments at once, so that a
/// stranger would hear of a bad body first.
pub async fn look_up_key(request: &HttpRequest) {
    let Ok(Some(key)) = bearer(request) else { return };
    if !key.starts_with(api_key::PREFIX) {
        return;
    }
    let (state, cache) = shared(request);
    let found = match known(state, cache, key) {
        Ok(None) => api_key::believe(state, key).await.map(|known| keep(state, cache, key, known)),
        Ok(Some(known)) => Ok(known),
        Err(error) => Err(error),
    };
    let mut looked_up = request.extensions_mut();
    match found {
        Ok(known) => drop(looked_up.insert(CurrentUser(known))),
        Err(error) => drop(looked_up.insert(Refused(error))),
    }
}

fn shared(request: &HttpRequest) -> (&Data<AppState>, &Rc<TokenCache>) {
    let state = request.app_data::<Data<AppState>>().expect("registered with the app");
    (state, request.app_data::<Rc<TokenCache>>().expect("registered with the app"))
}

/// Whom this worker has believed before, and still does.
fn known(state: &AppState, cache: &TokenCache, token: &str) -> Result<Option<Rc<Known>>, ApiError> {
    let known = cache.find(token, &Sight::of(state)?);
    if let Some(known) = &known {
        state.metrics.cache_hits.inc();
        known.note_use(&state.last_use, state.now());
    }
    Ok(known)
}

fn keep(state: &AppState, cache: &TokenCache, token: &str, known: Known) -> Rc<Known> {
    state.metrics.cache_misses.inc();
    known.note_use(&state.last_use, state.now());
    cache.keep(token, known)
}

fn user(request: &HttpRequest) -> Result<Option<CurrentUser>, ApiError> {
    let Some(token) = bearer(request)? else { return Ok(None) };
    if token.starts_with(api_key::PREFIX) {
        let mut looked_up = request.extensions_mut();
        return match looked_up.remove::<Refused>() {
            Some(Refused(error)) => Err(error),
            None => Ok(looked_up.get().cloned()),
        };
    }
    let (state, cache) = shared(request);
    let known = match known(state, cache, token)? {
        Some(known) => known,
        None => keep(state, cache, token, believe(state, token, request)?),
    };
    Ok(Some(CurrentUser(known)))
}

/// Without a query: by the token's signature and claims, and by what is known to have ended.
pub fn believe(state: &AppState, token: &str, request: &HttpRequest) -> Result<Known, ApiError> {
    let sight = Sight::of(state)?;
    let claims = state.issuer.verify(&state.keys.get(), token, state.now());
    let claims = claims.map_err(ApiError::Token)?;
    if let Err(error) = state.control.judge(claims.sub, claims.sid, claims.ver) {
        request.extensions_mut().insert(Asker(claims.sub));
        return Err(ApiError::Token(error));
    }
    Ok(Known::of(claims, &sight))
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

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let needs = |user: CurrentUser| {
            user.needs(P::SCOPE, request)?;
            Ok(Self { user, permission: PhantomData })
        };
        ready(user(request).and_then(|user| needs(user.ok_or(ApiError::Unauthenticated)?)))
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
