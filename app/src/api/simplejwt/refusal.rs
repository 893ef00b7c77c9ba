//! What is wrong, in Django REST framework's words; clients switch on `detail`, `code` and the names of fields.

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, TokenError};

pub const BLACKLISTED: &str = "Token is blacklisted";

/// The reply that we would give anywhere else, with another body; a fault of ours stays as it is.
pub fn refusal(error: &ApiError, request: &HttpRequest, mut reply: HttpResponse) -> HttpResponse {
    let body = match error {
        ApiError::WrongCredentials => {
            json!({"detail": "No active account found with the given credentials"})
        }
        ApiError::Token(error) => json!({"detail": detail(*error), "code": "token_not_valid"}),
        ApiError::Invalid(errors) => {
            let field = |error: &crate::error::FieldError| {
                (error.field.clone().into_owned(), json!([error.message]))
            };
            Value::Object(errors.iter().map(field).collect::<Map<_, _>>())
        }
        ApiError::BadJson(errors) => {
            let why = errors.first().map_or("no value", |error| &*error.message);
            json!({"detail": format!("JSON parse error - {why}")})
        }
        ApiError::UnsupportedMediaType(_) => {
            let sent = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let sent = sent.unwrap_or_default();
            json!({"detail": format!("Unsupported media type \"{sent}\" in request.")})
        }
        ApiError::MethodNotAllowed(_) => {
            json!({"detail": format!("Method \"{}\" not allowed.", request.method())})
        }
        _ if reply.status().is_server_error() => return reply,
        other => json!({"detail": other.to_string(), "code": other.code()}),
    };
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if headers.contains_key(WWW_AUTHENTICATE) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="api""#));
    }
    reply.set_body(BoxBody::new(body.to_string()))
}

fn detail(error: TokenError) -> &'static str {
    match error {
        TokenError::Invalid => "Token is invalid",
        TokenError::Expired => "Token is expired",
        TokenError::Revoked => BLACKLISTED,
    }
}
