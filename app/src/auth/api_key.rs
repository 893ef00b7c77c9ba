//! API keys: what a machine sends in place of an access token, for as long as its owner lets it.

use super::{access::scope_of, cache::Known, secret};
use crate::{
    db::api_keys,
    error::{ApiError, TokenError},
    state::AppState,
};

/// By this, people and scanners of repositories know one when they see it.
pub const PREFIX: &str = "rsk_";
/// Look-ups of keys that a worker does not know, at the same time in one process: guesses keep nobody from the database.
pub const LOOKUPS: usize = 2;

/// A new key, and the digest that is kept of it.
pub fn generate() -> (String, [u8; 32]) {
    let key = format!("{PREFIX}{}", secret::encode(&secret::random::<32>()));
    let digest = secret::sha256(key.as_bytes());
    (key, digest)
}

/// Asks the database once; the worker remembers the answer for up to five minutes, and what ends a key before that comes
/// by the feed.
pub async fn believe(state: &AppState, key: &str) -> Result<Known, ApiError> {
    let (epoch, version) = (state.control.epoch()?, state.keys.version());
    let _turn = state.key_lookups.acquire().await.expect("it is never closed");
    let row = api_keys::find(&state.db.get().await?, &secret::sha256(key.as_bytes())).await?;
    let row = row.ok_or(ApiError::Token(TokenError::Invalid))?;
    let owner = scope_of(row.admin);
    let allowed = |word: &&str| owner.split(' ').any(|known| known == *word);
    let scope = row.scope.split(' ').filter(allowed).collect::<Vec<_>>().join(" ");
    let known = Known::of_key(row, scope, state.now(), epoch, version);
    state.control.judge(known.id, known.session, known.version).map_err(ApiError::Token)?;
    Ok(known)
}
