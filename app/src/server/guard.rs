//! What every request passes through, around all handlers: its id, its deadline, a net under a
//! panic, and the shape of every failure.

use std::{panic::AssertUnwindSafe, time::Duration};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt as _;

use super::dev;
use crate::{
    api,
    auth::access,
    error::{self, ApiError, Failure, PROBLEM_JSON, X_REQUEST_ID},
    state::AppState,
};

/// nginx's `$request_id`, or our own where there is none.
#[derive(Clone)]
pub struct RequestId(String);

impl RequestId {
    fn of(request: &ServiceRequest) -> Self {
        let given = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        match given {
            Some(id) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Self(id.to_owned())
            }
            _ => Self(uuid::Uuid::new_v4().simple().to_string()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let state = request.app_data::<Data<AppState>>().expect("registered with the app").clone();
    let deadline = Duration::from_secs(state.settings.server.handler_deadline_s);
    let failure =
        |error| Failure { error, request_id: id.0.clone(), close: state.life.is_draining() };

    // The development server has one turn for all.
    let turn = state.dev.as_ref().filter(|_| request.path() != dev::STREAM).map(|dev| &dev.turn);
    let _turn = match turn {
        Some(turn) => Some(turn.acquire().await.expect("it is never closed")),
        None => None,
    };
    let answer = async {
        access::look_up_key(request.request()).await;
        next.call(request).await
    };
    let outcome = AssertUnwindSafe(tokio::time::timeout(deadline, answer)).catch_unwind().await;
    let mut response = match outcome {
        Ok(Ok(Ok(response))) => shape(response, &id),
        Ok(Ok(Err(error))) => return Err(error),
        Ok(Err(_)) => return Err(failure(ApiError::Deadline).into()),
        // The panic hook has logged where; the reply's log line carries the request's id.
        Err(panic) => return Err(failure(ApiError::internal(panic_text(panic.as_ref()))).into()),
    };
    let head = response.response_mut().head_mut();
    if state.life.is_draining() {
        // nginx then leaves this connection, and the slot can end.
        head.set_connection_type(ConnectionType::Close);
    }
    let headers = head.headers_mut();
    let id = HeaderValue::from_str(&id.0).expect("hexadecimal");
    headers.insert(X_REQUEST_ID, id);
    // What a reply holds is its reader's alone, unless its handler says otherwise.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.insert(VARY, HeaderValue::from_static("Authorization"));
    }
    Ok(response)
}

/// Gives every failure its one shape, whoever made it.
fn shape(
    response: ServiceResponse<impl MessageBody + 'static>,
    id: &RequestId,
) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let ours = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == PROBLEM_JSON.as_bytes());
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response.map_into_boxed_body();
    }
    let reply = match response.response().error().and_then(|error| error.as_error::<ApiError>()) {
        Some(error) => api::failure(error, response.request(), id.as_str()),
        None => error::bare(status, id.as_str()),
    };
    response.into_response(reply)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("not a text"))
}
