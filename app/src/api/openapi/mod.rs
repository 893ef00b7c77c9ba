//! What the API offers, as OpenAPI 3.1. Each handler tells what is its own (`#[utoipa::path]`); who may come in, and the
//! refusals that follow from what a route is, are added from the route table.

use std::sync::OnceLock;

use actix_web::{HttpRequest, HttpResponse, http::Method, web::Data};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        path::{Operation, PathItem},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    api_keys, auth, constant::Constant, health, jwks, me, notes, route::Route, sessions, simplejwt,
    users,
};
use crate::{
    auth::{access::Public, browser},
    error::{ApiError, Problem},
    state::AppState,
};

mod operation;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Roadstead", description = include_str!("description.md")),
    components(schemas(Problem, simplejwt::SimpleJwtRefusal)),
    paths(
        auth::token::create, auth::token::refresh, auth::token::revoke,
        auth::session::create, auth::session::delete, auth::session::refresh,
        auth::invitation::accept, auth::password::change,
        me::show,
        sessions::list, sessions::delete_all, sessions::delete,
        api_keys::list, api_keys::create, api_keys::delete,
        users::list, users::show, users::update, users::end_sessions, users::end_session,
        notes::list, notes::create, notes::show, notes::update, notes::delete,
        simplejwt::create, simplejwt::refresh, simplejwt::verify, simplejwt::blacklist,
        health::live, health::ready, jwks::show, show,
    ),
)]
struct Handlers;

/// nginx lets nobody through to the first; the others are no part of the API.
const APART: [&str; 3] = ["/internal/", "/api/docs", "/api/v1/drill/"];

pub fn is_told(route: &Route) -> bool {
    !APART.iter().any(|prefix| route.path.starts_with(prefix))
}

pub fn document(routes: &[Route]) -> OpenApi {
    let mut document = Handlers::openapi();
    for route in routes.iter().filter(|route| is_told(route)) {
        let item = document.paths.paths.get_mut(route.path);
        let told = item.and_then(|item| of_method(item, &route.method));
        operation::complete(told.expect("a test compares the handlers with the table"), route);
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token (a JWT, RFC 9068) or an API key."))
        .build();
    let cookie = ApiKeyValue::with_description(browser::REFRESH, "A browser's refresh token.");
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

fn of_method<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match method.as_str() {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

/// `GET /api/openapi.json`: this document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "openapi", responses((status = 200, body = Object)),
)]
pub async fn show(
    _: Public,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    static DOCUMENT: OnceLock<Constant> = OnceLock::new();
    let made = DOCUMENT.get_or_init(|| {
        let document = document(&super::routes(&state.settings));
        let text = document.to_json().expect("strings, lists and maps are JSON");
        Constant::new("application/json", text)
    });
    Ok(made.reply(&request))
}
