//! nginx asks this for the services that it puts behind our tokens (`auth_request`); it lets nobody else through to it.

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody as _},
    http::header::{HeaderName, HeaderValue},
    web::Query,
};
use serde::Deserialize;

use crate::{auth::access::CurrentUser, error::ApiError};

pub const PATH: &str = "/internal/authorize";

const X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const X_USER_SCOPE: HeaderName = HeaderName::from_static("x-user-scope");
const X_PROBLEM: HeaderName = HeaderName::from_static("x-problem");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    permission: String,
}

/// `GET /internal/authorize?permission=notes`
pub async fn show(
    user: CurrentUser,
    request: HttpRequest,
    question: Query<Question>,
) -> Result<HttpResponse, ApiError> {
    user.needs(&question.permission, &request)?;
    Ok(HttpResponse::NoContent()
        .insert_header((X_USER_ID, user.id.to_string()))
        .insert_header((X_USER_SCOPE, &*user.scope))
        .finish())
}

/// nginx drops the body of a refusal: in a header it gets as far as the client.
pub fn refusal(reply: HttpResponse) -> HttpResponse {
    let (mut head, body) = reply.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    if let Ok(problem) = HeaderValue::from_maybe_shared(body.clone()) {
        head.headers_mut().insert(X_PROBLEM, problem);
    }
    head.set_body(BoxBody::new(body))
}
