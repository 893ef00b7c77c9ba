//! Every URL on one screen.

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::Method,
    web::{self, ServiceConfig},
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use crate::{
    auth::access::Asker,
    config::Settings,
    error::{self, ApiError},
};
use route::{Route, route};

mod api_keys;
mod auth;
mod authorize;
mod body;
mod constant;
mod docs;
mod drill;
mod health;
mod jwks;
mod me;
mod metrics;
mod notes;
pub mod openapi;
pub mod route;
mod sessions;
mod simplejwt;
mod users;

/// The largest JSON body, in bytes; nginx refuses earlier only what is over 1 MiB.
pub const JSON_LIMIT: usize = 256 * 1024;

#[rustfmt::skip]
pub fn routes(settings: &Settings) -> Vec<Route> {
    let mut routes = vec![
        route(Method::GET,    "/health/live",                  health::live),
        route(Method::GET,    "/health/ready",                 health::ready),
        route(Method::GET,    authorize::PATH,                 authorize::show),
        route(Method::GET,    "/internal/metrics",             metrics::show),
        route(Method::GET,    "/.well-known/jwks.json",        jwks::show),
        route(Method::GET,    "/api/openapi.json",             openapi::show),
        route(Method::GET,    "/api/docs",                     docs::there),
        route(Method::GET,    "/api/docs/",                    docs::page),
        route(Method::GET,    "/api/docs/initializer.js",      docs::initializer),
        route(Method::GET,    "/api/docs/swagger-ui.css",      docs::style),
        route(Method::GET,    "/api/docs/swagger-ui-bundle.js", docs::script),
        route(Method::POST,   "/api/v1/auth/token",            auth::token::create),
        route(Method::POST,   "/api/v1/auth/token/refresh",    auth::token::refresh),
        route(Method::POST,   "/api/v1/auth/token/revoke",     auth::token::revoke),
        route(Method::POST,   "/api/v1/auth/session",          auth::session::create),
        route(Method::DELETE, "/api/v1/auth/session",          auth::session::delete),
        route(Method::POST,   "/api/v1/auth/session/refresh",  auth::session::refresh),
        route(Method::POST,   "/api/v1/auth/invitation",       auth::invitation::accept),
        route(Method::POST,   "/api/v1/auth/password",         auth::password::change),
        route(Method::POST,   "/api/token/",                   simplejwt::create),
        route(Method::POST,   "/api/token/refresh/",           simplejwt::refresh),
        route(Method::POST,   "/api/token/verify/",            simplejwt::verify),
        route(Method::POST,   "/api/token/blacklist/",         simplejwt::blacklist),
        route(Method::GET,    "/api/v1/me",                    me::show),
        route(Method::GET,    "/api/v1/sessions",              sessions::list),
        route(Method::DELETE, "/api/v1/sessions",              sessions::delete_all),
        route(Method::DELETE, "/api/v1/sessions/{id}",         sessions::delete),
        route(Method::GET,    "/api/v1/api-keys",              api_keys::list),
        route(Method::POST,   "/api/v1/api-keys",              api_keys::create),
        route(Method::DELETE, "/api/v1/api-keys/{id}",         api_keys::delete),
        route(Method::GET,    "/api/v1/users",                 users::list),
        route(Method::GET,    "/api/v1/users/{id}",            users::show),
        route(Method::PATCH,  "/api/v1/users/{id}",            users::update),
        route(Method::DELETE, "/api/v1/users/{id}/sessions",   users::end_sessions),
        route(Method::DELETE, "/api/v1/users/{id}/sessions/{session}", users::end_session),
        route(Method::GET,    "/api/v1/notes",                 notes::list),
        route(Method::POST,   "/api/v1/notes",                 notes::create),
        route(Method::GET,    "/api/v1/notes/{id}",            notes::show),
        route(Method::PATCH,  "/api/v1/notes/{id}",            notes::update),
        route(Method::DELETE, "/api/v1/notes/{id}",            notes::delete),
    ];
    if settings.server.drill {
        routes.extend([
            route(Method::GET,    "/api/v1/drill/whoami",          drill::whoami),
            route(Method::GET,    "/api/v1/drill/account",         drill::account),
            route(Method::GET,    "/api/v1/drill/sleep",           drill::sleep),
            route(Method::GET,    "/api/v1/drill/block",           drill::block),
            route(Method::POST,   "/api/v1/drill/panic",           drill::panic),
        ]);
    }
    routes
}

pub fn configure(config: &mut ServiceConfig, routes: Vec<Route>) {
    config
        .app_data(web::JsonConfig::default().limit(JSON_LIMIT).error_handler(error::from_json))
        .app_data(web::FormConfig::default().limit(JSON_LIMIT).error_handler(error::from_form))
        .app_data(web::QueryConfig::default().error_handler(error::from_query))
        .app_data(web::PathConfig::default().error_handler(error::from_path))
        .app_data(web::PayloadConfig::default().limit(JSON_LIMIT));
    route::register(config, routes);
}

/// A failure, in the words of the address where it happened.
pub fn failure(error: &ApiError, request: &HttpRequest, request_id: &str) -> HttpResponse {
    let asker = request.extensions().get::<Asker>().map(|asker| asker.0);
    let reply = error::reply(error, request_id, asker);
    match request.match_pattern().as_deref() {
        Some(path) if path.starts_with(simplejwt::PREFIX) => {
            simplejwt::refusal(error, request, reply)
        }
        Some(authorize::PATH) => authorize::refusal(reply),
        _ => reply,
    }
}

/// All of a kind: there are few.
#[derive(Serialize, ToSchema)]
struct Items<T> {
    items: Vec<T>,
}

/// RFC 3339, in UTC.
fn time_text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).expect("a time of the database has a year of four digits")
}
