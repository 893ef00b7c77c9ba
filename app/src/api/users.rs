//! Accounts, for administrators.

use actix_web::{HttpResponse, web::Data};
use serde_json::{Value, json};

use super::time_text;
use crate::{
    auth::access::{Require, Users},
    db::users,
    error::ApiError,
    state::AppState,
};

/// `GET /api/v1/users`
pub async fn list(_: Require<Users>, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let rows = users::list(&state.db.get().await?).await?;
    let items = rows.iter().map(|row| {
        json!({
            "id": row.id,
            "email": row.email,
            "admin": row.admin,
            "disabled": row.disabled_at.is_some(),
            "created_at": time_text(row.created_at),
        })
    });
    Ok(HttpResponse::Ok().json(json!({"items": items.collect::<Vec<Value>>()})))
}
