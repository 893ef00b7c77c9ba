//! Faults and plain answers on demand, for drills and measurements: only where `ROADSTEAD_SERVER__DRILL` is on.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    auth::access::{CurrentUser, Public},
    error::ApiError,
    state::AppState,
};

use super::{body::Body, me};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panic {
    message: String,
}

/// `GET /api/v1/drill/whoami`: what the token alone tells, without a query.
pub async fn whoami(user: CurrentUser) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(json!({"id": user.id, "scope": user.scope})))
}

/// `GET /api/v1/drill/account`: what `GET /api/v1/me` answers, read anew each time.
pub async fn account(user: CurrentUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let body = me::read(&user, &state).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

/// `GET /api/v1/drill/sleep?ms=`: waits, as for a slow neighbour.
pub async fn sleep(_: Public, length: Query<Length>) -> Result<HttpResponse, ApiError> {
    tokio::time::sleep(Duration::from_millis(length.ms)).await;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /api/v1/drill/block?ms=`: blocks its worker, as no handler should.
pub async fn block(_: Public, length: Query<Length>) -> Result<HttpResponse, ApiError> {
    std::thread::sleep(Duration::from_millis(length.ms));
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/v1/drill/panic`
#[expect(clippy::panic, reason = "what it is for")]
pub async fn panic(_: Public, Body(panic): Body<Panic>) -> Result<HttpResponse, ApiError> {
    panic!("{}", panic.message);
}
