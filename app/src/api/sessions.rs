//! One's own sessions.

use std::net::IpAddr;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, time_text};
use crate::{
    auth::{
        access::{Account, Require},
        caller::Caller,
        session,
    },
    db::sessions,
    error::ApiError,
    state::AppState,
};

#[derive(Serialize, ToSchema)]
struct SessionReply {
    id: Uuid,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_used_at: String,
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

/// `GET /api/v1/sessions`: where one is signed in.
#[utoipa::path(get, path = "/api/v1/sessions", responses((status = 200, body = Items<SessionReply>)))]
pub async fn list(
    Require { user, .. }: Require<Account>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rows = sessions::list(&state.db.get().await?, user.id).await?;
    let items = rows.into_iter().map(|row| SessionReply {
        id: row.id,
        created_at: time_text(row.created_at),
        last_used_at: time_text(row.last_used_at),
        ip: row.ip,
        user_agent: row.user_agent,
        current: row.id == user.session,
    });
    Ok(HttpResponse::Ok().json(Items { items: items.collect() }))
}

/// `DELETE /api/v1/sessions/{id}`: ends one of one's own sessions, and its tokens with it.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", responses((status = 204)))]
pub async fn delete(
    Require { user, .. }: Require<Account>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    session::end_one(&state, user.id, *id, "by_user", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Also the one that asks: signs out everywhere.
    #[serde(default)]
    current: bool,
}

/// `DELETE /api/v1/sessions`: ends all of one's own sessions but the one that asks.
#[utoipa::path(delete, path = "/api/v1/sessions", params(Which), responses((status = 204)))]
pub async fn delete_all(
    Require { user, .. }: Require<Account>,
    which: Query<Which>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let but = (!which.current).then_some(user.session);
    session::end_all(&state, user.id, but, "by_user", &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
