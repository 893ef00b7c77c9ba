//! Sessions: begun by a sign-in, carried on by refresh tokens, ended by a sign-out. Each is one row.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    access::scope_of,
    caller::Caller,
    keys::Signer,
    limits,
    password::{Queue, Verdict},
    refresh::RefreshToken,
    token::Grant,
};
use crate::{
    db::{
        audit::{self, Event},
        invitations, sessions,
        users::{self, UserRow},
    },
    error::{ApiError, TokenError},
    state::AppState,
};

/// A session ends so many days after its sign-in …
pub const ABSOLUTE_DAYS: i32 = 30;
/// … or so many after its last refresh.
pub const IDLE_DAYS: i32 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Program,
    Browser,
}

impl Kind {
    /// As the table has it. A token of one kind is none of the other.
    pub fn word(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Browser => "browser",
        }
    }

    pub fn of_word(word: &str) -> Self {
        if word == "browser" { Self::Browser } else { Self::Program }
    }
}

/// What a sign-in or a refresh gives.
#[derive(Debug)]
pub struct Issued {
    pub access: AccessReply,
    pub refresh_token: String,
}

/// RFC 6749 section 5.1.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessReply {
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: i64,
    pub scope: &'static str,
}

pub async fn sign_in(
    state: &AppState,
    email: &str,
    password: String,
    kind: Kind,
    caller: &Caller,
) -> Result<Issued, ApiError> {
    let attempt = limits::sign_in(state, email, caller).await?;
    let queue = attempt.queue;
    let done = match evaluate(state, email, password.clone(), kind, queue, caller).await {
        // Another password, a better hash of this one, or disabled: that decides.
        Ok(None) => evaluate(state, email, password, kind, queue, caller).await,
        done => done,
    };
    let done = done.and_then(|issued| issued.ok_or(ApiError::WrongCredentials));
    if !matches!(done, Err(ApiError::WrongCredentials)) {
        attempt.give_back(state).await;
    }
    done
}

/// `None` when the account was changed meanwhile.
async fn evaluate(
    state: &AppState,
    email: &str,
    password: String,
    kind: Kind,
    queue: Queue,
    caller: &Caller,
) -> Result<Option<Issued>, ApiError> {
    let user = users::find_by_email(&state.db.get().await?, email).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    // Without a connection in hand: others need it meanwhile.
    let verdict = state.passwords.verify(password.clone(), hash, queue).await?;
    let mut user = match user {
        Some(user) if verdict != Verdict::Wrong && user.disabled_at.is_none() => user,
        refused => {
            let user = refused.map(|user| user.id);
            let event = Event { event: "authn_login_fail", user, ..Event::default() };
            audit::record(&state.db.get().await?, caller, event).await?;
            return Err(ApiError::WrongCredentials);
        }
    };
    // When the queue is full, the next sign-in does it.
    if verdict == Verdict::Outdated
        && let Ok(hash) = state.passwords.hash(password).await
    {
        let client = state.db.get().await?;
        if users::set_password_hash(&client, user.id, &user.password_hash, &hash).await? {
            user.password_hash = hash;
        }
    }
    begin(state, &user, kind, caller).await
}

/// The session of a user whose password was right; `None` when the account was changed since `user` was read.
pub async fn begin(
    state: &AppState,
    user: &UserRow,
    kind: Kind,
    caller: &Caller,
) -> Result<Option<Issued>, ApiError> {
    let (keys, now) = (state.keys.get(), state.now());
    // Asked first: without a key that signs, no session begins.
    let signer = keys.signing(now)?;
    let change = state.db.begin().await?;
    if !users::set_signed_in(&change, user).await? {
        return Ok(None);
    }
    let token = sessions::insert(&change, user.id, kind, caller).await?;
    let event = Event::of("authn_login_success", user.id).session(token.session);
    audit::record(&change, caller, event).await?;
    change.commit().await?;
    Ok(Some(issue(state, &signer, user, token, now, now)))
}

/// RFC 6749 section 6, with rotation: RFC 9700 section 4.14.2.
pub async fn refresh(
    state: &AppState,
    token: &str,
    kind: Kind,
    caller: &Caller,
) -> Result<Issued, ApiError> {
    let token = state.refresh.read(token).ok_or(ApiError::InvalidGrant)?;
    limits::refresh(state, token.session, caller).await?;
    let (keys, now) = (state.keys.get(), state.now());
    // Asked first: without a key that signs, no refresh token is used up.
    let signer = keys.signing(now)?;
    let client = state.db.get().await?;
    match sessions::advance(&client, token, kind, caller).await? {
        sessions::Advanced::To { generation, user, signed_in_at } => {
            let next = RefreshToken { session: token.session, generation };
            Ok(issue(state, &signer, &user, next, signed_in_at.unix_timestamp(), now))
        }
        sessions::Advanced::Reused { user } => {
            tracing::warn!(
                request_id = caller.request_id.as_deref(),
                event = "authn_token_reuse",
                user.id = %user,
                session.id = %token.session,
                "a refresh token came twice, its session is ended"
            );
            state.control.caught_up().await;
            Err(ApiError::InvalidGrant)
        }
        sessions::Advanced::No => Err(ApiError::InvalidGrant),
    }
}

/// Whether a refresh token is its session's newest, and if not, why; changes nothing.
pub async fn check(state: &AppState, token: &str, kind: Kind) -> Result<(), ApiError> {
    let token = state.refresh.read(token).ok_or(ApiError::Token(TokenError::Invalid))?;
    let standing = sessions::standing(&state.db.get().await?, token, kind).await?;
    standing.map_err(ApiError::Token)
}

/// Ends the session that a refresh token belongs to, if it is one of ours (RFC 7009 section 2.2:
/// an unknown token is no error).
pub async fn revoke(state: &AppState, token: &str, caller: &Caller) -> Result<(), ApiError> {
    match state.refresh.read(token) {
        Some(RefreshToken { session, .. }) => end(state, session, caller).await,
        None => Ok(()),
    }
}

/// By whoever holds one of its tokens.
pub async fn end(state: &AppState, session: Uuid, caller: &Caller) -> Result<(), ApiError> {
    let change = state.db.begin().await?;
    if let Some(user) = sessions::end(&change, session).await? {
        let event = Event::of("authn_token_revoked", user).session(session);
        audit::record(&change, caller, event).await?;
    }
    change.commit().await?;
    state.control.caught_up().await;
    Ok(())
}

/// One of a user's sessions, by them or by an administrator (`reason`, as the table has it).
pub async fn end_one(
    state: &AppState,
    user: Uuid,
    session: Uuid,
    reason: &'static str,
    caller: &Caller,
) -> Result<(), ApiError> {
    let change = state.db.begin().await?;
    if !sessions::end_of(&change, user, session, reason).await? {
        return Err(ApiError::NotFound);
    }
    let event = Event::of("authn_token_revoked", user).session(session);
    audit::record(&change, caller, event.details(json!({"reason": reason}))).await?;
    change.commit().await?;
    state.control.caught_up().await;
    Ok(())
}

/// All of a user's sessions, but perhaps one.
pub async fn end_all(
    state: &AppState,
    user: Uuid,
    but: Option<Uuid>,
    reason: &'static str,
    caller: &Caller,
) -> Result<(), ApiError> {
    let change = state.db.begin().await?;
    if !users::lock(&change, user).await? {
        return Err(ApiError::NotFound);
    }
    let ended = sessions::end_all(&change, user, but, reason).await?;
    let event = Event::of("authn_token_revoked", user);
    audit::record(&change, caller, event.details(json!({"reason": reason, "sessions": ended})))
        .await?;
    change.commit().await?;
    state.control.caught_up().await;
    Ok(())
}

pub(super) fn issue(
    state: &AppState,
    signer: &Signer,
    user: &UserRow,
    next: RefreshToken,
    auth_time: i64,
    now: i64,
) -> Issued {
    let scope = scope_of(user.admin);
    let grant = Grant {
        user: user.id,
        session: next.session,
        version: user.version,
        scope: scope.into(),
        auth_time,
    };
    Issued {
        access: AccessReply {
            access_token: state.issuer.issue(signer, grant, now),
            token_type: "Bearer",
            expires_in: state.issuer.lifetime(),
            scope,
        },
        refresh_token: state.refresh.issue(next, now),
    }
}

/// An invitation becomes an account.
pub async fn accept_invitation(
    state: &AppState,
    token: &str,
    email: &str,
    password: String,
    caller: &Caller,
) -> Result<Uuid, ApiError> {
    let hash = super::secret::sha256(token.as_bytes());
    // Before the costly hash; whoever is first to use it up is decided below.
    if !invitations::is_open(&state.db.get().await?, &hash, email).await? {
        return Err(ApiError::InvalidInvitation);
    }
    let password_hash = state.passwords.hash(password).await?;
    let change = state.db.begin().await?;
    let admin =
        invitations::use_up(&change, &hash, email).await?.ok_or(ApiError::InvalidInvitation)?;
    let id = users::insert(&change, email, &password_hash, admin).await?;
    audit::record(&change, caller, Event::of("user_created", id)).await?;
    change.commit().await?;
    Ok(id)
}
