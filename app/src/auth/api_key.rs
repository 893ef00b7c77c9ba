//! API keys: what a machine sends in place of an access token, for as long as its owner lets it.

use serde_json::json;
use uuid::Uuid;

use super::{
    access::{Account, CurrentUser, Permission as _, scope_of},
    cache::{Known, Sight},
    caller::Caller,
    limits, secret,
};
use crate::{
    db::{
        api_keys::{self, ApiKeyRow},
        audit::{self, Event},
        sessions, users,
    },
    error::{ApiError, TokenError},
    state::AppState,
};

/// By this, people and scanners of repositories know one when they see it.
pub const PREFIX: &str = "rsk_";
/// Look-ups of keys that a worker does not know, at the same time in one process: guesses keep nobody from the database.
pub const LOOKUPS: usize = 2;
/// Living keys of one account.
const MOST: i64 = 50;

/// A new key, and the digest that is kept of it.
fn generate() -> (String, [u8; 32]) {
    let key = format!("{PREFIX}{}", secret::encode(&secret::random::<32>()));
    let digest = secret::sha256(key.as_bytes());
    (key, digest)
}

/// None when it cannot be a key: that costs no query.
fn digest_of(key: &str) -> Option<[u8; 32]> {
    let random = secret::decode(key.strip_prefix(PREFIX)?)?;
    (random.len() == 32).then(|| secret::sha256(key.as_bytes()))
}

/// The words that a key may have whose owner has these: whoever steals one must not take over the account.
pub fn grantable(owner: &str) -> impl Iterator<Item = &str> {
    owner.split(' ').filter(|word| *word != Account::SCOPE)
}

/// What is left of a key's scope while its owner has these words.
pub fn effective(scope: &str, owner: &str) -> String {
    let has = |word: &&str| scope.split(' ').any(|own| own == *word);
    grantable(owner).filter(has).collect::<Vec<_>>().join(" ")
}

/// Asks the database; the worker remembers the answer for up to five minutes, and what ends a key before that comes by
/// the feed.
pub async fn believe(state: &AppState, key: &str) -> Result<Known, ApiError> {
    let digest = digest_of(key).ok_or(ApiError::Token(TokenError::Invalid))?;
    let _turn = state.key_lookups.acquire().await.expect("it is never closed");
    match look(state, &digest).await {
        // The owner's rights have changed since the row was read, which ends no key.
        Err(ApiError::Token(TokenError::Revoked)) => look(state, &digest).await,
        found => found,
    }
}

async fn look(state: &AppState, digest: &[u8]) -> Result<Known, ApiError> {
    let sight = Sight::of(state)?;
    let row = api_keys::find(&state.db.get().await?, digest).await?;
    let row = row.ok_or(ApiError::Token(TokenError::Invalid))?;
    let scope = effective(&row.scope, scope_of(row.admin));
    let known = Known::of_key(row, scope, &sight);
    state.control.judge(known.id, known.session, known.version).map_err(ApiError::Token)?;
    Ok(known)
}

/// The key itself, which nobody sees again, and what is kept.
pub async fn create(
    state: &AppState,
    owner: &CurrentUser,
    name: &str,
    scope: &str,
    days: i32,
    caller: &Caller,
) -> Result<(String, ApiKeyRow), ApiError> {
    limits::new_api_key(state, owner.id, owner.session, caller).await?;
    let (key, digest) = generate();
    let change = state.db.begin().await?;
    // Two at once would both count 49.
    users::lock(&change, owner.id).await?;
    // Ended by another slot a moment ago: what it makes would outlive it.
    if sessions::kind(&change, owner.session).await?.is_none() {
        return Err(ApiError::Token(TokenError::Revoked));
    }
    if api_keys::count(&change, owner.id).await? >= MOST {
        return Err(ApiError::Conflict {
            code: "too_many_api_keys",
            detail: "An account has 50 API keys at the most: revoke one first.",
        });
    }
    let row = api_keys::insert(&change, owner.id, name, &digest, scope, days).await?;
    let details = json!({"api_key": row.id, "name": name, "scope": scope, "days": days});
    let event = Event::of("authn_token_created", owner.id).session(owner.session);
    audit::record(&change, caller, event.details(details)).await?;
    change.commit().await?;
    Ok((key, row))
}

pub async fn revoke(
    state: &AppState,
    owner: &CurrentUser,
    id: Uuid,
    caller: &Caller,
) -> Result<(), ApiError> {
    let change = state.db.begin().await?;
    let name = api_keys::revoke(&change, owner.id, id).await?.ok_or(ApiError::NotFound)?;
    let event = Event::of("authn_token_revoked", owner.id).session(owner.session);
    audit::record(&change, caller, event.details(json!({"api_key": id, "name": name}))).await?;
    change.commit().await?;
    state.control.caught_up().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_key_has_no_digest() {
        let (key, digest) = generate();
        assert_eq!(digest_of(&key), Some(digest));
        for wrong in
            ["", PREFIX, &key[1..], &key[..key.len() - 1], &format!("{key}A"), &format!("{key}=")]
        {
            assert_eq!(digest_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_has_what_it_was_given_and_its_owner_still_has_but_never_the_account() {
        let admin = "account notes users";
        assert_eq!(effective("notes", admin), "notes");
        assert_eq!(effective("users notes", admin), "notes users");
        assert_eq!(effective("account users notes", "account notes"), "notes");
        assert_eq!(effective("users", "account notes"), "");
    }
}
