//! One's own API keys.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Items, body::Body, time_text};
use crate::{
    auth::{
        access::{Account, Require},
        api_key,
        caller::Caller,
    },
    db::api_keys,
    error::{ApiError, FieldError},
    state::AppState,
};

const NAME: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Words with one space between them (RFC 6749 section 3.3).
    scope: String,
    #[schema(minimum = 1, maximum = 365)]
    expires_in_days: i32,
}

#[derive(Serialize, ToSchema)]
struct ApiKeyReply {
    id: Uuid,
    name: String,
    scope: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct NewApiKeyReply {
    id: Uuid,
    name: String,
    scope: String,
    /// What goes into the Authorization header, as an access token does.
    key: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

impl NewApiKey {
    /// For an owner with this scope.
    fn check(&self, owner: &str) -> Result<(), ApiError> {
        let mut errors = Vec::new();
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
            errors.push(FieldError::new("name", "must have 1 to 100 characters, on one line"));
        }
        let grantable: Vec<&str> = api_key::grantable(owner).collect();
        if !self.scope.split(' ').all(|word| grantable.contains(&word)) {
            let words = grantable.join(", ");
            let problem = format!("must be one or more of these, with a space between: {words}");
            errors.push(FieldError::new("scope", problem));
        }
        if !(1..=365).contains(&self.expires_in_days) {
            errors.push(FieldError::new("expires_in_days", "must be 1 to 365"));
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::Invalid(errors)) }
    }
}

/// `POST /api/v1/api-keys`: a new key for a machine; the one answer that has it.
#[utoipa::path(
    post, path = "/api/v1/api-keys", request_body = NewApiKey,
    responses(
        (status = 201, body = NewApiKeyReply),
        (status = 400, description = "`invalid_fields`"),
        (status = 409, description = "`too_many_api_keys`"),
        (status = 429, description = "`too_many_attempts`"),
    ),
)]
pub async fn create(
    Require { user, .. }: Require<Account>,
    Body(new): Body<NewApiKey>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    new.check(&user.scope)?;
    let scope = api_key::effective(&new.scope, &user.scope);
    let (name, days) = (new.name.trim(), new.expires_in_days);
    let (key, row) = api_key::create(&state, &user, name, &scope, days, &caller).await?;
    Ok(HttpResponse::Created().json(NewApiKeyReply {
        id: row.id,
        name: row.name,
        scope: row.scope,
        key,
        created_at: time_text(row.created_at),
        expires_at: time_text(row.expires_at),
    }))
}

/// `GET /api/v1/api-keys`: one's own API keys, without their secrets.
#[utoipa::path(get, path = "/api/v1/api-keys", responses((status = 200, body = Items<ApiKeyReply>)))]
pub async fn list(
    Require { user, .. }: Require<Account>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rows = api_keys::list(&state.db.get().await?, user.id).await?;
    let items = rows.into_iter().map(|row| ApiKeyReply {
        id: row.id,
        name: row.name,
        scope: row.scope,
        created_at: time_text(row.created_at),
        expires_at: time_text(row.expires_at),
        last_used_at: row.last_used_at.map(time_text),
    });
    Ok(HttpResponse::Ok().json(Items { items: items.collect() }))
}

/// `DELETE /api/v1/api-keys/{id}`: revokes a key.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", responses((status = 204)))]
pub async fn delete(
    Require { user, .. }: Require<Account>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    api_key::revoke(&state, &user, *id, &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
