//! Browsers that an account was signed in with: a cookie `id.since.MAC`, bound to the account's e-mail address. It
//! signs nobody in; its holder only does not wait behind strangers who guess.

use super::secret::{self, Key, Keys};

/// What browsers keep a cookie at the most.
pub const DAYS: i64 = 400;

/// For the browser that has just signed in: as before if it was known, and anew for the whole time.
pub fn issue(keys: &Keys, cookie: Option<&str>, email: &str, now: i64) -> String {
    let known = cookie.and_then(|cookie| read(keys, cookie, email, now));
    let id = known.unwrap_or_else(|| secret::encode(&secret::random::<12>()));
    let (_, key) = keys.current(now);
    let mac = own(key).mac(&message(&id, now, email));
    format!("{id}.{now}.{}", secret::encode(&mac))
}

/// The device's id, if it is this account's.
pub fn read(keys: &Keys, cookie: &str, email: &str, now: i64) -> Option<String> {
    let mut parts = cookie.split('.');
    let (id, since, mac) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let (message, mac) = (message(id, since, email), secret::decode(mac)?);
    let ours = keys.iter().any(|(_, key)| own(key).mac_is(&message, &mac));
    let lasts = now.saturating_sub(since) < DAYS * 86_400;
    (ours && lasts && parts.next().is_none()).then(|| id.to_owned())
}

/// Of those that authenticate refresh tokens, with another purpose.
fn own(refresh: &Key) -> Key {
    refresh.derive(b"roadstead device")
}

/// Neither an id nor a number has a dot, so that it has one reading.
fn message(id: &str, since: i64, email: &str) -> Vec<u8> {
    format!("{id}.{since}.{email}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "ada@example.org";
    const NOW: i64 = 1_800_000_000;

    fn keys() -> Keys {
        Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key")
    }

    #[test]
    fn a_device_is_known_for_its_own_account_and_for_its_time() {
        let keys = keys();
        let cookie = issue(&keys, None, ADA, NOW);
        let id = read(&keys, &cookie, ADA, NOW).expect("known");
        assert_eq!(read(&keys, &cookie, "bob@example.org", NOW), None);
        assert_eq!(read(&self::keys(), &cookie, ADA, NOW), None, "another key's");
        assert_eq!(read(&keys, &cookie, ADA, NOW + DAYS * 86_400), None);
        // Signing in again makes no new device, whose bucket would be empty.
        let renewed = issue(&keys, Some(&cookie), ADA, NOW + 5);
        assert_ne!(renewed, cookie);
        assert_eq!(read(&keys, &renewed, ADA, NOW + 5), Some(id.clone()));
        let other = issue(&keys, Some(&cookie), "bob@example.org", NOW);
        assert_ne!(read(&keys, &other, "bob@example.org", NOW), Some(id));
    }

    #[test]
    fn a_spoilt_cookie_is_a_stranger_s() {
        let keys = keys();
        let cookie = issue(&keys, None, ADA, NOW);
        for spoilt in [
            cookie.replace(&NOW.to_string(), &(NOW + 1).to_string()),
            cookie[1..].into(),
            format!("{cookie}."),
            cookie[..cookie.len() - 1].into(),
            String::new(),
            "..".into(),
        ] {
            assert_eq!(read(&keys, &spoilt, ADA, NOW), None, "{spoilt}");
        }
    }
}
