//! The one door for failures: every refusal and every fault leaves as `application/problem+json`
//! (RFC 9457) with a stable `code` and the request's id. `type` is left out, which means
//! `about:blank`: the title is the status' own phrase.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    error::{JsonPayloadError, PathError, PayloadError, QueryPayloadError, UrlencodedError},
    http::{
        ConnectionType, Method, StatusCode,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
            WWW_AUTHENTICATE,
        },
    },
};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};
use uuid::Uuid;

use crate::{auth::keys::KeyError, db::DbError};

pub const PROBLEM_JSON: &str = "application/problem+json";
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A fact that keeps a request from its answer. What a client may be told, it says; a 5xx says
/// nothing of its cause, which goes to the log.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    #[error("The body is not valid JSON for this resource.")]
    BadJson(Vec<FieldError>),
    #[error("Some fields are not valid.")]
    Invalid(Vec<FieldError>),
    #[error("No credentials were given.")]
    Unauthenticated,
    #[error("{}", .0.detail())]
    Token(TokenError),
    #[error("The Authorization header is malformed.")]
    MalformedAuthorization,
    #[error("The e-mail address or the password is not right.")]
    WrongCredentials,
    #[error("The refresh token is not valid.")]
    InvalidGrant,
    #[error("This invitation is not for this address, has been used, or is over 30 minutes old.")]
    InvalidInvitation,
    #[error("This token's scope does not allow it.")]
    InsufficientScope,
    #[error("The request comes from another site.")]
    CrossSite,
    #[error("There is nothing here.")]
    NotFound,
    #[error("This resource does not know that method.")]
    MethodNotAllowed(Vec<Method>),
    #[error("{detail}")]
    Conflict { code: &'static str, detail: &'static str },
    #[error("The body is larger than {0} bytes.")]
    BodyTooLarge(usize),
    #[error("The body must be sent as {0}.")]
    UnsupportedMediaType(&'static str),
    #[error("Too many attempts; try again in {seconds} s.")]
    TooManyAttempts { seconds: u64 },
    #[error("The server is busy; try again.")]
    Overloaded,
    /// A dependency that should answer does not.
    #[error("A part that this needs does not answer; try again.")]
    Unavailable(Cause),
    #[error("The answer took too long.")]
    Deadline,
    #[error("Something broke on our side.")]
    Internal(Cause),
}

pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error.constraint() {
            _ if error.is_unavailable() => Self::Unavailable(error.into()),
            Some("users_email_key") => Self::Conflict {
                code: "email_taken",
                detail: "There is an account with this address.",
            },
            _ => Self::Internal(error.into()),
        }
    }
}

/// Whoever runs the site can cure it, and the request may come again.
impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why an access token is not believed (RFC 6750 section 3.1, `invalid_token`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    Invalid,
    Expired,
    /// It was good, and has been ended.
    Revoked,
}

impl TokenError {
    fn code(self) -> &'static str {
        match self {
            Self::Invalid => "token_invalid",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Invalid => "The access token is not valid.",
            Self::Expired => "The access token has expired.",
            Self::Revoked => "The access token has been revoked.",
        }
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    pub field: Cow<'static, str>,
    pub message: Cow<'static, str>,
}

impl FieldError {
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApiError {
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// The stable word clients may switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::BadJson(_) => "bad_json",
            Self::Invalid(_) => "invalid_fields",
            Self::Unauthenticated => "not_authenticated",
            Self::Token(error) => error.code(),
            Self::MalformedAuthorization => "malformed_authorization",
            Self::WrongCredentials => "wrong_credentials",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidInvitation => "invalid_invitation",
            Self::InsufficientScope => "insufficient_scope",
            Self::CrossSite => "cross_site",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Conflict { code, .. } => code,
            Self::BodyTooLarge(_) => "body_too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Overloaded => "overloaded",
            Self::Unavailable(_) => "unavailable",
            Self::Deadline => "deadline_exceeded",
            Self::Internal(_) => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_)
            | Self::BadJson(_)
            | Self::Invalid(_)
            | Self::MalformedAuthorization
            | Self::InvalidGrant
            | Self::InvalidInvitation => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::Token(_) | Self::WrongCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientScope | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::Unavailable(_) | Self::Deadline => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a refusal is called in the log: OWASP's logging vocabulary, as far as that has a word.
    fn event(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated | Self::Token(_) | Self::InsufficientScope => Some("authz_fail"),
            Self::WrongCredentials => Some("authn_login_fail"),
            Self::InvalidGrant | Self::InvalidInvitation => Some("authn_token_fail"),
            Self::MalformedAuthorization => Some("input_validation_fail"),
            Self::CrossSite => Some("malicious_cors"),
            _ => None,
        }
    }

    /// RFC 6750 section 3: no error code where no credentials were given.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated => Some(r#"Bearer realm="api""#),
            Self::Token(_) => Some(r#"Bearer realm="api", error="invalid_token""#),
            Self::MalformedAuthorization => Some(r#"Bearer realm="api", error="invalid_request""#),
            Self::InsufficientScope => Some(r#"Bearer realm="api", error="insufficient_scope""#),
            // RFC 9110 section 15.5.2 wants a challenge on every 401.
            Self::WrongCredentials => Some(r#"Bearer realm="api""#),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { seconds } => Some(*seconds),
            Self::Overloaded | Self::Unavailable(_) | Self::Deadline => Some(1),
            _ => None,
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::BadJson(fields) | Self::Invalid(fields) => fields,
            _ => &[],
        }
    }
}

/// A failure (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem<'a> {
    /// The status' own phrase.
    title: &'a str,
    status: u16,
    /// Stays as it is: programs may switch on it.
    #[schema(schema_with = codes)]
    code: &'a str,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    /// What finds it in the log.
    request_id: &'a str,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// Every `code` that a client can meet: ours, and nginx's own.
#[rustfmt::skip]
pub const CODES: &[&str] = &[
    "bad_request", "bad_json", "invalid_fields", "not_authenticated", "token_invalid", "token_expired", "token_revoked",
    "malformed_authorization", "wrong_credentials", "invalid_grant", "invalid_invitation", "insufficient_scope",
    "cross_site", "not_found", "method_not_allowed", "email_taken", "own_account", "too_many_api_keys", "body_too_large",
    "unsupported_media_type", "too_many_attempts", "overloaded", "unavailable", "deadline_exceeded", "not_ready", "internal",
    // Only nginx says these.
    "https_required", "forbidden", "request_timeout", "length_required", "precondition_failed", "uri_too_long",
    "range_not_satisfiable", "misdirected_request", "rate_limited", "header_too_large", "not_implemented",
    "bad_gateway", "maintenance", "timeout", "version_not_supported", "insufficient_storage", "error",
];

fn codes() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(CODES.iter().copied())).build()
}

/// The reply, and for a 5xx or a refusal the one log line. `user` is who asked, where that is known.
pub fn reply(error: &ApiError, request_id: &str, user: Option<Uuid>) -> HttpResponse {
    let status = error.status();
    if let Some(event) = error.event() {
        let user = user.map(tracing::field::display);
        tracing::info!(
            request_id,
            status = status.as_u16(),
            code = error.code(),
            event,
            user.id = user,
            "refused"
        );
    }
    if status.is_server_error() {
        let cause = match error {
            ApiError::Internal(cause) | ApiError::Unavailable(cause) => chain(cause.as_ref()),
            other => other.to_string(),
        };
        tracing::error!(
            request_id,
            status = status.as_u16(),
            code = error.code(),
            "request failed: {cause}"
        );
    }
    let mut reply =
        body(status, error.code(), Some(error.to_string().into()), request_id, error.fields());
    let headers = reply.headers_mut();
    if let Some(challenge) = error.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let ApiError::MethodNotAllowed(methods) = error {
        let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let allow = HeaderValue::from_str(&allow).expect("method names are header text");
        headers.insert(ALLOW, allow);
    }
    reply
}

/// For what the framework itself refuses, of which only the status is known.
pub fn bare(status: StatusCode, request_id: &str) -> HttpResponse {
    if status.is_server_error() {
        tracing::error!(request_id, status = status.as_u16(), "request failed in the framework");
    }
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
        status if status.is_server_error() => "internal",
        _ => "bad_request",
    };
    body(status, code, None, request_id, &[])
}

fn body(
    status: StatusCode,
    code: &str,
    detail: Option<Cow<'_, str>>,
    request_id: &str,
    errors: &[FieldError],
) -> HttpResponse {
    debug_assert!(
        CODES.contains(&code),
        "{code} is not in CODES, so the document does not tell it"
    );
    let problem = Problem {
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        code,
        detail,
        request_id,
        errors,
    };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, PROBLEM_JSON))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_REQUEST_ID, request_id))
        .body(serde_json::to_vec(&problem).expect("strings and numbers are JSON"))
}

/// An error with all that caused it: `a: b: c`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// What the guard in `server` returns where no reply can be built any more (a panic, a deadline):
/// the framework turns it into one.
#[derive(Debug)]
pub struct Failure {
    pub error: ApiError,
    pub request_id: String,
    /// Whether the slot is draining, and the connection must end with this reply.
    pub close: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.error.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut reply = reply(&self.error, &self.request_id, None);
        if self.close {
            reply.head_mut().set_connection_type(ConnectionType::Close);
        }
        reply
    }
}

/// The guard replaces this reply by `reply`, which knows the request's id.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

pub fn from_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    match error {
        JsonPayloadError::ContentType => ApiError::UnsupportedMediaType("application/json"),
        JsonPayloadError::OverflowKnownLength { limit, .. }
        | JsonPayloadError::Overflow { limit } => ApiError::BodyTooLarge(limit),
        JsonPayloadError::Payload(error) => from_payload(&error),
        JsonPayloadError::Deserialize(error) => ApiError::BadJson(json_field(&error)),
        other => ApiError::internal(other.to_string()),
    }
    .into()
}

pub fn from_form(error: UrlencodedError, _: &HttpRequest) -> actix_web::Error {
    match error {
        UrlencodedError::ContentType => {
            ApiError::UnsupportedMediaType("application/x-www-form-urlencoded")
        }
        UrlencodedError::Overflow { limit, .. } => ApiError::BodyTooLarge(limit),
        UrlencodedError::Payload(error) => from_payload(&error),
        _ => ApiError::BadRequest("The form is not valid.".into()),
    }
    .into()
}

pub fn from_query(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    ApiError::BadRequest(format!("The query is not valid: {error}.").into()).into()
}

/// An id that cannot be one names nothing.
pub fn from_path(_: PathError, _: &HttpRequest) -> actix_web::Error {
    ApiError::NotFound.into()
}

fn from_payload(error: &PayloadError) -> ApiError {
    match error {
        PayloadError::Overflow => ApiError::BodyTooLarge(crate::api::JSON_LIMIT),
        _ => ApiError::BadRequest("The body did not arrive whole.".into()),
    }
}

/// serde names a field that is unknown, missing or repeated in backticks; else its text says where.
fn json_field(error: &serde_json::Error) -> Vec<FieldError> {
    let text = error.to_string();
    let names = ["unknown field `", "missing field `", "duplicate field `"];
    let named = names.iter().find_map(|words| text.strip_prefix(words)?.split('`').next());
    let field = named.unwrap_or_default().to_owned();
    vec![FieldError::new(field, text)]
}
