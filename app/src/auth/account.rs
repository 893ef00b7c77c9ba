//! Changes of an account: its password by its owner, its rights by an administrator.

use serde_json::json;
use uuid::Uuid;

use super::{
    access::CurrentUser,
    caller::Caller,
    limits,
    password::{self, Verdict},
    session::{self, Issued, Kind},
};
use crate::{
    db::{
        audit::{self, Event},
        sessions,
        users::{self, Rights, UserRow},
    },
    error::{ApiError, FieldError, TokenError},
    state::AppState,
};

fn wrong(field: &'static str, problem: &'static str) -> ApiError {
    ApiError::Invalid(vec![FieldError::new(field, problem)])
}

/// Ends all sessions and begins a new one in place of this one: whoever has stolen its tokens has nothing, either.
pub async fn change_password(
    state: &AppState,
    user: &CurrentUser,
    current: String,
    new: String,
    caller: &Caller,
) -> Result<(Kind, Issued), ApiError> {
    let row = users::find(&state.db.get().await?, user.id).await?;
    let row = row.ok_or(ApiError::Token(TokenError::Revoked))?;
    password::check(&new, &row.email).map_err(|problem| wrong("new_password", problem))?;
    if new == current {
        return Err(wrong("new_password", "must not be the current one"));
    }
    let attempt = limits::password_change(state, user.session, caller).await?;
    let old_hash = row.password_hash.clone();
    let verdict = state.passwords.verify(current, Some(old_hash), attempt.queue).await;
    if !matches!(verdict, Ok(Verdict::Wrong)) {
        attempt.give_back(state).await;
    }
    if verdict? == Verdict::Wrong {
        let event = Event::of("authn_password_change_fail", row.id).session(user.session);
        audit::record(&state.db.get().await?, caller, event).await?;
        return Err(wrong("current_password", "is not right"));
    }
    let hash = state.passwords.hash(new).await?;
    let (keys, now) = (state.keys.get(), state.now());
    let signer = keys.signing(now)?;

    let change = state.db.begin().await?;
    users::lock(&change, row.id).await?;
    if !users::set_password_hash(&change, row.id, &row.password_hash, &hash).await? {
        // Changed meanwhile, by another session: then this one is over.
        return Err(wrong("current_password", "has just been changed"));
    }
    let kind = sessions::kind(&change, user.session).await?;
    let kind = kind.ok_or(ApiError::Token(TokenError::Revoked))?;
    sessions::end_all(&change, row.id, None, "password_changed").await?;
    let next = sessions::insert(&change, row.id, kind, caller).await?;
    let event = Event::of("authn_password_change", row.id).session(user.session);
    let event = event.details(json!({"next_session": next.session}));
    audit::record(&change, caller, event).await?;
    change.commit().await?;
    state.control.caught_up().await;
    Ok((kind, session::issue(state, &signer, &row, next, now, now)))
}

/// What ends with it: all sessions of a disabled account; the tokens of one with other rights, which a refresh replaces.
pub async fn set_rights(
    state: &AppState,
    by: &CurrentUser,
    id: Uuid,
    rights: Rights,
    caller: &Caller,
) -> Result<UserRow, ApiError> {
    if id == by.id {
        return Err(ApiError::Conflict {
            code: "own_account",
            detail: "Nobody changes their own rights; another administrator can.",
        });
    }
    let change = state.db.begin().await?;
    let row = users::set_rights(&change, id, rights).await?.ok_or(ApiError::NotFound)?;
    if rights.disabled == Some(true) {
        sessions::end_all(&change, id, None, "user_disabled").await?;
    }
    if rights.disabled.is_some() {
        let event = if row.disabled_at.is_some() { "user_disabled" } else { "user_enabled" };
        let event = Event::of(event, id).details(json!({"by": by.id}));
        audit::record(&change, caller, event).await?;
    }
    if rights.admin.is_some() {
        let event = Event::of("privilege_permissions_changed", id);
        let event = event.details(json!({"by": by.id, "admin": row.admin}));
        audit::record(&change, caller, event).await?;
    }
    change.commit().await?;
    state.control.caught_up().await;
    Ok(row)
}
