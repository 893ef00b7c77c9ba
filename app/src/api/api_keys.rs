//! One's own API keys.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::time_text;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    name: String,
    /// Words with one space between them (RFC 6749 section 3.3).
    scope: String,
    expires_in_days: i32,
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

/// `POST /api/v1/api-keys`: the one answer that has the key.
pub async fn create(
    Require { user, .. }: Require<Account>,
    new: Json<NewApiKey>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    new.check(&user.scope)?;
    let scope = api_key::effective(&new.scope, &user.scope);
    let (name, days) = (new.name.trim(), new.expires_in_days);
    let (key, row) = api_key::create(&state, &user, name, &scope, days, &caller).await?;
    Ok(HttpResponse::Created().json(json!({
        "id": row.id,
        "name": row.name,
        "scope": row.scope,
        "key": key,
        "created_at": time_text(row.created_at),
        "expires_at": time_text(row.expires_at),
    })))
}

/// `GET /api/v1/api-keys`
pub async fn list(
    Require { user, .. }: Require<Account>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let rows = api_keys::list(&state.db.get().await?, user.id).await?;
    let items = rows.iter().map(|row| {
        json!({
            "id": row.id,
            "name": row.name,
            "scope": row.scope,
            "created_at": time_text(row.created_at),
            "expires_at": time_text(row.expires_at),
            "last_used_at": row.last_used_at.map(time_text),
        })
    });
    Ok(HttpResponse::Ok().json(json!({"items": items.collect::<Vec<Value>>()})))
}

/// `DELETE /api/v1/api-keys/{id}`
pub async fn delete(
    Require { user, .. }: Require<Account>,
    id: Path<Uuid>,
    caller: Caller,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    api_key::revoke(&state, &user, *id, &caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
