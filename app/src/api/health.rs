//! Is the process there, and is it the one to send requests to.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    web::Data,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::access::Public,
    error::{ApiError, PROBLEM_JSON},
    server::{RequestId, life::Phase, probe},
    state::AppState,
};

#[derive(Serialize, ToSchema)]
struct LiveReply {
    state: &'static str,
}

/// Who answers, and in which state.
#[derive(Serialize, ToSchema)]
struct ReadyReply<'a> {
    state: &'static str,
    slot: Option<String>,
    instance: &'a str,
    version: &'static str,
    workers: usize,
    uptime_s: u64,
}

/// A 503 is a problem with the same members.
#[derive(Serialize)]
struct NotReady<'a> {
    #[serde(flatten)]
    ready: ReadyReply<'a>,
    title: &'static str,
    status: u16,
    code: &'static str,
    request_id: Option<String>,
}

/// `GET /health/live`: whether the process is there.
#[utoipa::path(get, path = "/health/live", responses((status = 200, body = LiveReply)))]
pub async fn live(_: Public) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(LiveReply { state: "live" }))
}

/// `GET /health/ready`: whether it is the one to send requests to.
#[utoipa::path(
    get, path = "/health/ready",
    responses((status = 200, body = ReadyReply), (status = 503, description = "`not_ready`")),
)]
pub async fn ready(
    _: Public,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let phase = state.life.phase();
    let ready = ReadyReply {
        state: probe::word(phase),
        slot: state.settings.slot.map(|slot| slot.to_string()),
        instance: &state.instance,
        version: env!("CARGO_PKG_VERSION"),
        workers: state.settings.workers(),
        uptime_s: state.started.elapsed().as_secs(),
    };
    if phase == Phase::Ready {
        return Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ready));
    }
    let request_id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned());
    let (title, status, code) = ("Service Unavailable", 503, "not_ready");
    Ok(HttpResponse::ServiceUnavailable()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_TYPE, PROBLEM_JSON))
        .insert_header((RETRY_AFTER, "1"))
        .json(NotReady { ready, title, status, code, request_id }))
}
