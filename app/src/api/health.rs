//! Is the process there, and is it the one to send requests to.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    web::Data,
};
use serde_json::json;

use crate::{
    auth::access::Public,
    error::{ApiError, PROBLEM_JSON},
    server::{RequestId, life::Phase, probe},
    state::AppState,
};

/// `GET /health/live`
pub async fn live(_: Public) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({"state": "live"})))
}

/// `GET /health/ready`: who answers, and in which state. A 503 is a problem with the same members.
pub async fn ready(
    _: Public,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let phase = state.life.phase();
    let mut answer = json!({
        "state": probe::word(phase),
        "slot": state.settings.slot.map(|slot| slot.to_string()),
        "instance": state.instance,
        "version": env!("CARGO_PKG_VERSION"),
        "workers": state.settings.workers(),
        "uptime_s": state.started.elapsed().as_secs(),
    });
    if phase == Phase::Ready {
        return Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer));
    }
    answer["title"] = "Service Unavailable".into();
    answer["status"] = 503.into();
    answer["code"] = "not_ready".into();
    let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned());
    answer["request_id"] = id.into();
    Ok(HttpResponse::ServiceUnavailable()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_TYPE, PROBLEM_JSON))
        .insert_header((RETRY_AFTER, "1"))
        .json(answer))
}
