//! Browsers that an account was signed in with: a cookie `id.since.MAC`, bound to the account's e-mail address. It
//! signs nobody in; its holder only does not wait behind strangers who guess.

use super::secret::{self, Key};

/// What browsers keep a cookie at the most.
pub const DAYS: i64 = 400;

/// Makes and reads the cookies, with a key of their own.
pub struct Devices(Key);

impl Devices {
    pub fn new(refresh: &Key) -> Self {
        Self(refresh.derive(b"roadstead device"))
    }

    /// For the browser that has just signed in: as before if it was known, and anew for the whole time.
    pub fn issue(&self, cookie: Option<&str>, email: &str, now: i64) -> String {
        let known = cookie.and_then(|cookie| self.read(cookie, email, now));
        let id = known.unwrap_or_else(|| secret::encode(&secret::random::<12>()));
        let mac = self.0.mac(&message(&id, now, email));
        format!("{id}.{now}.{}", secret::encode(&mac))
    }

    /// The device's id, if it is this account's.
    pub fn read(&self, cookie: &str, email: &str, now: i64) -> Option<String> {
        let mut parts = cookie.split('.');
        let (id, since, mac) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let ours = self.0.mac_is(&message(id, since, email), &secret::decode(mac)?);
        let lasts = now.saturating_sub(since) < DAYS * 86_400;
        (ours && lasts && parts.next().is_none()).then(|| id.to_owned())
    }
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

    fn devices() -> Devices {
        Devices::new(&secret::tests::key())
    }

    #[test]
    fn a_device_is_known_for_its_own_account_and_for_its_time() {
        let devices = devices();
        let cookie = devices.issue(None, ADA, NOW);
        let id = devices.read(&cookie, ADA, NOW).expect("known");
        assert_eq!(devices.read(&cookie, "bob@example.org", NOW), None);
        assert_eq!(self::devices().read(&cookie, ADA, NOW), None, "another key's");
        assert_eq!(devices.read(&cookie, ADA, NOW + DAYS * 86_400), None);
        // Signing in again makes no new device, whose bucket would be empty.
        let renewed = devices.issue(Some(&cookie), ADA, NOW + 5);
        assert_ne!(renewed, cookie);
        assert_eq!(devices.read(&renewed, ADA, NOW + 5), Some(id.clone()));
        let other = devices.issue(Some(&cookie), "bob@example.org", NOW);
        assert_ne!(devices.read(&other, "bob@example.org", NOW), Some(id));
    }

    #[test]
    fn a_spoilt_cookie_is_a_stranger_s() {
        let devices = devices();
        let cookie = devices.issue(None, ADA, NOW);
        for spoilt in [
            cookie.replace(&NOW.to_string(), &(NOW + 1).to_string()),
            cookie[1..].into(),
            format!("{cookie}."),
            cookie[..cookie.len() - 1].into(),
            String::new(),
            "..".into(),
        ] {
            assert_eq!(devices.read(&spoilt, ADA, NOW), None, "{spoilt}");
        }
    }
}
