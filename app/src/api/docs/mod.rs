//! A page to read the API and try it: Swagger UI, out of its crate. Nothing of it comes from elsewhere, and no script or
//! style is in the page itself.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::constant::Constant;
use crate::{auth::access::Public, error::ApiError, server::dev};
use archive::{Member, find, gzip};

mod archive;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SCRIPT: Member = find(SWAGGER_UI_VENDORED, b"/dist/swagger-ui-bundle.js");
const STYLE: Member = find(SWAGGER_UI_VENDORED, b"/dist/swagger-ui.css");

/// `GET /api/docs`
pub async fn there(_: Public) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, "/api/docs/")).finish())
}

/// `GET /api/docs/`
pub async fn page(_: Public, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static PAGE: LazyLock<Constant> =
        LazyLock::new(|| Constant::new("text/html; charset=utf-8", include_str!("index.html")));
    let mut reply = PAGE.reply(&request);
    // In production nginx says it.
    let policy = dev::POLICY.parse().expect("header text");
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(reply)
}

/// `GET /api/docs/initializer.js`
pub async fn initializer(_: Public, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static INITIALIZER: LazyLock<Constant> =
        LazyLock::new(|| Constant::new(JAVASCRIPT, include_str!("initializer.js")));
    Ok(INITIALIZER.reply(&request))
}

/// `GET /api/docs/swagger-ui.css`
pub async fn style(_: Public, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static FILE: [u8; STYLE.size()] = gzip(SWAGGER_UI_VENDORED, STYLE);
    static STYLE_SHEET: LazyLock<Constant> =
        LazyLock::new(|| Constant::gzipped("text/css; charset=utf-8", &FILE[..]));
    Ok(STYLE_SHEET.reply(&request))
}

/// `GET /api/docs/swagger-ui-bundle.js`
pub async fn script(_: Public, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static FILE: [u8; SCRIPT.size()] = gzip(SWAGGER_UI_VENDORED, SCRIPT);
    static BUNDLE: LazyLock<Constant> = LazyLock::new(|| Constant::gzipped(JAVASCRIPT, &FILE[..]));
    Ok(BUNDLE.reply(&request))
}
