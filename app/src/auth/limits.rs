//! How often somebody may try a password, refresh, or make an API key: counted before anything costly, in the database, so that both slots count as one.
//!
//! An account has no lock that a stranger could close: the browsers that it was signed in with are counted on their own
//! (`device`), and for all others it slows down. By the e-mail address, so that one without an account is no different.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use super::{caller::Caller, device, password::Queue, secret};
use crate::{
    db::limits::{self, Bucket, Whose},
    error::ApiError,
    state::AppState,
};

/// `limit` is the setting, and all else in proportion.
struct Rules {
    limit: i32,
}

impl Rules {
    fn of(state: &AppState) -> Self {
        Self { limit: state.settings.auth.sign_in_limit }
    }

    /// 10 a minute, whatever becomes of them.
    fn address(&self, network: &str) -> Bucket {
        self.bucket(format!("address:{network}"), self.limit, 60)
    }

    /// 5 failures in five minutes.
    fn pair(&self, account: &str, network: &str) -> Bucket {
        self.bucket(format!("pair:{account}:{network}"), self.limit / 2, 300)
    }

    /// 100 an hour, from wherever; then more slowly.
    fn account(&self, account: &str) -> Bucket {
        Bucket { slow: true, ..self.bucket(format!("account:{account}"), self.limit * 10, 3600) }
    }

    /// 10 failures in five minutes.
    fn device(&self, device: &str) -> Bucket {
        self.bucket(format!("device:{device}"), self.limit, 300)
    }

    /// 5 wrong passwords in five minutes, by who has a token and wants more.
    fn password(&self, session: Uuid) -> Bucket {
        self.bucket(format!("password:{session}"), self.limit / 2, 300)
    }

    /// 30 refreshes a minute.
    fn session(&self, session: Uuid) -> Bucket {
        self.bucket(format!("session:{session}"), self.limit * 3, 60)
    }

    /// 100 new ones an hour: each that is revoked is news to every process, and remembered for longer than that.
    fn api_keys(&self, user: Uuid) -> Bucket {
        self.bucket(format!("api_keys:{user}"), self.limit * 10, 3600)
    }

    fn bucket(&self, name: String, limit: i32, seconds: i32) -> Bucket {
        Bucket { name, limit, seconds, slow: false }
    }
}

/// A try that was allowed, and is counted as a failure so far.
pub struct Attempt {
    pub queue: Queue,
    failures: String,
}

impl Attempt {
    /// It was none. When this fails, it counts as one for five minutes.
    pub async fn give_back(self, state: &AppState) {
        let done = match state.db.get().await {
            Ok(client) => limits::give_back(&client, &self.failures).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::debug!("a sign-in is not taken back from the failures: {error}");
        }
    }
}

pub async fn sign_in(state: &AppState, email: &str, caller: &Caller) -> Result<Attempt, ApiError> {
    let rules = Rules::of(state);
    let account = secret::encode(&secret::sha256(email.as_bytes())[..16]);
    let keys = state.refresh.0.get();
    let read = |cookie: &String| device::read(&keys, cookie, email, state.now());
    let device = caller.device.as_ref().and_then(read);
    let (failures, others, queue) = match device {
        Some(device) => (rules.device(&device), vec![], Queue::Known),
        None => {
            let network = network(caller.ip);
            let others = vec![rules.address(&network), rules.account(&account)];
            (rules.pair(&account, &network), others, Queue::Strangers)
        }
    };
    let attempt = Attempt { queue, failures: failures.name.clone() };
    let buckets = [vec![failures], others].concat();
    count(state, &buckets, Whose { email: Some(email), session: None }, caller).await?;
    Ok(attempt)
}

/// Of one's own password, before it is changed.
pub async fn password_change(
    state: &AppState,
    session: Uuid,
    caller: &Caller,
) -> Result<Attempt, ApiError> {
    let bucket = Rules::of(state).password(session);
    let attempt = Attempt { queue: Queue::Known, failures: bucket.name.clone() };
    count(state, &[bucket], Whose { email: None, session: Some(session) }, caller).await?;
    Ok(attempt)
}

pub async fn refresh(state: &AppState, session: Uuid, caller: &Caller) -> Result<(), ApiError> {
    let bucket = Rules::of(state).session(session);
    count(state, &[bucket], Whose { email: None, session: Some(session) }, caller).await
}

pub async fn new_api_key(
    state: &AppState,
    user: Uuid,
    session: Uuid,
    caller: &Caller,
) -> Result<(), ApiError> {
    let bucket = Rules::of(state).api_keys(user);
    count(state, &[bucket], Whose { email: None, session: Some(session) }, caller).await
}

async fn count(
    state: &AppState,
    buckets: &[Bucket],
    whose: Whose<'_>,
    caller: &Caller,
) -> Result<(), ApiError> {
    match limits::count(&state.db.get().await?, buckets, whose, caller).await? {
        None => Ok(()),
        Some(seconds) => Err(ApiError::TooManyAttempts { seconds }),
    }
}

/// What one client has: an IPv4 address, or the /64 of an IPv6 address. Without nginx before us all are one.
fn network(ip: Option<IpAddr>) -> String {
    match ip.map(|ip| ip.to_canonical()) {
        None => "unknown".into(),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_its_64_and_a_mapped_one_is_ipv4() {
        let of = |text: &str| network(Some(text.parse().expect("an address")));
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:ffff::"), "2001:db8:1:2::/64");
        assert_ne!(of("2001:db8:1:3::"), of("2001:db8:1:2::"));
        assert_eq!(network(None), "unknown");
    }

    #[test]
    fn the_names_fit_the_table_and_the_limits_their_type() {
        let rules = Rules { limit: crate::config::HIGHEST_SIGN_IN_LIMIT };
        let network = network(Some(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))));
        let account = secret::encode(&[0; 16]);
        for bucket in [
            rules.address(&network),
            rules.pair(&account, &network),
            rules.account(&account),
            rules.password(Uuid::max()),
            rules.session(Uuid::max()),
            rules.api_keys(Uuid::max()),
        ] {
            assert!(bucket.name.len() <= 200 && bucket.limit > 0, "{bucket:?}");
        }
    }
}
