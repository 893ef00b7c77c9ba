//! The public keys that verify our access tokens.

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Data};

use crate::{
    auth::{access::MaybeUser, keys::MAX_AGE},
    error::ApiError,
    state::AppState,
};

/// `GET /.well-known/jwks.json`: the public keys that access tokens are signed with (RFC 7517 section 5).
#[utoipa::path(
    get, path = "/.well-known/jwks.json",
    responses((status = 200, content_type = "application/jwk-set+json", body = Object)),
)]
pub async fn show(_: MaybeUser, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, format!("public, max-age={MAX_AGE}")))
        .content_type("application/jwk-set+json")
        .json(state.keys.get().jwks()))
}
