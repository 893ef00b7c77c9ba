//! For whoever watches the process; nginx lets nobody through to it.

use actix_web::{HttpResponse, web::Data};

use crate::{auth::access::Public, error::ApiError, state::AppState, telemetry::metrics::Metrics};

/// `GET /internal/metrics`
pub async fn show(_: Public, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(Metrics::text(&state)))
}
