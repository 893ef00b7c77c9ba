//! When which signing key is made, signs, is retired or revoked. All of it by the database's clock, one at a time, and the
//! feed tells every process.

use std::time::Duration;

use serde_json::json;

use super::{
    caller::Caller,
    keys::{KeyRing, NewKey, OVERLAP, StoredKey},
    revocation::PATIENCE,
    secret::Keys,
};
use crate::db::{
    Client, DbError, Transaction,
    audit::{self, Event},
    keys,
};

/// A key of the usual rotation is published so long before it signs: whoever keeps the public set has it by then.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// No key that is made in peace signs earlier than this: a process that has heard nothing for so long believes nobody.
pub const HEARD: Duration = PATIENCE.saturating_add(Duration::from_secs(2));

/// The keys as they are, until the transaction ends: nobody else changes them meanwhile.
struct Present {
    stored: Vec<StoredKey>,
    ring: KeyRing,
    now: i64,
}

impl Present {
    async fn look(change: &Transaction, masters: &Keys) -> Result<Self, DbError> {
        keys::lock(change).await?;
        let (stored, now) = (keys::list(change).await?, keys::now(change).await?);
        Ok(Self { ring: KeyRing::open(masters, &stored), stored, now })
    }
}

/// The job: the next key when the newest is nearly `days` old, the end of those that a newer one has replaced, and all of
/// them under the newest master key. Writes only where there is something to change: every write is news.
pub async fn tend(change: &Transaction, masters: &Keys, days: u16) -> Result<(), DbError> {
    let Present { stored, ring, now } = Present::look(change, masters).await?;
    let age = i64::from(days) * 86_400 - AHEAD.as_secs() as i64;
    if ring.newest().is_none_or(|from| from + age <= now) {
        make(change, masters, now, AHEAD).await?;
    }
    for kid in ring.superseded(now) {
        keys::retire(change, kid, OVERLAP).await?;
        note(change, "signing_key_retired", kid).await?;
    }
    let (master_kid, master) = masters.current(now);
    for key in stored.iter().filter(|key| key.master_kid.as_deref() != Some(master_kid)) {
        if let Some(private) = key.open(masters) {
            let sealed = master.seal(key.kid.as_bytes(), &private);
            keys::set_sealed(change, &key.kid, &sealed, master_kid).await?;
            note(change, "signing_key_sealed", &key.kid).await?;
        }
    }
    Ok(())
}

/// The next key signs after `delay`: the one that is published already, or a new one. Its kid.
pub async fn rotate(
    change: &Transaction,
    masters: &Keys,
    delay: Duration,
) -> Result<String, DbError> {
    let Present { ring, now, .. } = Present::look(change, masters).await?;
    match ring.next(now) {
        Some(next) => {
            if next.signs_from > now + delay.as_secs() as i64 {
                bring_forward(change, next.kid, delay).await?;
            }
            Ok(next.kid.to_owned())
        }
        None => make(change, masters, now, delay).await,
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Another one signs from now on.
    Replaced(String),
    /// It did not sign.
    Alone,
    /// There is none of this name that anybody believes.
    Unknown,
}

/// What the key signed is dead everywhere as soon as the feed has told.
pub async fn revoke(change: &Transaction, masters: &Keys, kid: &str) -> Result<Revoked, DbError> {
    let Present { stored, ring, now } = Present::look(change, masters).await?;
    if !stored.iter().any(|key| key.kid == kid) {
        return Ok(Revoked::Unknown);
    }
    let signs = ring.signing(now).map_or(true, |signer| signer.kid == kid);
    let revoked = match (signs, ring.next(now)) {
        (false, _) => Revoked::Alone,
        (true, Some(next)) if next.kid != kid => {
            bring_forward(change, next.kid, Duration::ZERO).await?;
            Revoked::Replaced(next.kid.to_owned())
        }
        (true, _) => Revoked::Replaced(make(change, masters, now, Duration::ZERO).await?),
    };
    keys::revoke(change, kid).await?;
    note(change, "signing_key_revoked", kid).await?;
    Ok(revoked)
}

async fn make(
    change: &Transaction,
    masters: &Keys,
    now: i64,
    delay: Duration,
) -> Result<String, DbError> {
    let key = NewKey::generate(masters, now);
    keys::insert(change, &key, delay).await?;
    note(change, "signing_key_created", &key.kid).await?;
    Ok(key.kid)
}

async fn bring_forward(change: &Transaction, kid: &str, delay: Duration) -> Result<(), DbError> {
    keys::set_signs_from(change, kid, delay).await?;
    note(change, "signing_key_brought_forward", kid).await
}

async fn note(client: &Client, event: &'static str, kid: &str) -> Result<(), DbError> {
    tracing::info!(kid, "{event}");
    let event = Event { event, details: json!({"kid": kid}), ..Event::default() };
    audit::record(client, &Caller::default(), event).await
}
