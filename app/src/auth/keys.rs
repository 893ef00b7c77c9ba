//! The keys that sign access tokens (Ed25519, RFC 8037), and the public set (RFC 7517).

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};

use super::secret::{self, Keys};
use crate::config::ACCESS_LIFETIMES;

/// How long others may keep the public set, in seconds.
pub const MAX_AGE: i64 = 300;
/// How long a retired key still verifies, in seconds: twice the longest life of an access token, and what others keep.
pub const OVERLAP: i64 = 2 * *ACCESS_LIFETIMES.end() + MAX_AGE;
const _: () = assert!(MAX_AGE <= OVERLAP / 2);

/// A fresh key, its private half sealed under the master key.
pub struct NewKey {
    pub kid: String,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
    pub master_kid: String,
}

impl NewKey {
    pub fn generate(masters: &Keys, now: i64) -> Self {
        let (master_kid, master) = masters.current(now);
        let kid = new_kid();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
            .expect("the system's randomness does not end");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("just made");
        Self {
            public: pair.public_key().as_ref().to_vec(),
            // A sealed key cannot be put under another's name.
            sealed: master.seal(kid.as_bytes(), pkcs8.as_ref()),
            master_kid: master_kid.to_owned(),
            kid,
        }
    }
}

/// Never with a hyphen in front, which a command line would take for an option.
fn new_kid() -> String {
    loop {
        let kid = secret::encode(&secret::random::<12>());
        if kid.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return kid;
        }
    }
}

/// A key as the database holds it. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub kid: String,
    pub public: Vec<u8>,
    pub sealed: Vec<u8>,
    /// Of the master key it is sealed under, where that is known.
    pub master_kid: Option<String>,
    pub signs_from: i64,
    pub retired: bool,
    pub expires_at: Option<i64>,
}

/// One that signs from the beginning of time.
impl From<NewKey> for StoredKey {
    fn from(NewKey { kid, public, sealed, master_kid }: NewKey) -> Self {
        let master_kid = Some(master_kid);
        Self { kid, public, sealed, master_kid, signs_from: 0, retired: false, expires_at: None }
    }
}

impl StoredKey {
    /// The private half, unless it is sealed under a master key that is none of these.
    pub fn open(&self, masters: &Keys) -> Option<Vec<u8>> {
        let (kid, sealed) = (self.kid.as_bytes(), &self.sealed);
        match self.master_kid.as_deref().and_then(|id| masters.find(id)) {
            Some(master) => master.open(kid, sealed),
            None => masters.iter().find_map(|(_, master)| master.open(kid, sealed)),
        }
    }
}

struct RingKey {
    stored: StoredKey,
    verifying: DecodingKey,
    /// None: it is retired, or does not open.
    signing: Option<EncodingKey>,
}

/// What this process signs and verifies with: all verify, one signs.
pub struct KeyRing(Vec<Arc<RingKey>>);

/// One that signs.
pub struct Signer<'a> {
    pub kid: &'a str,
    pub key: &'a EncodingKey,
    pub signs_from: i64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("there is no signing key; `roadstead migrate` makes one")]
    None,
    #[error(
        "signing key {0} does not open: ROADSTEAD_AUTH__MASTER_KEY is not the one it was sealed with, and no other \
         key can sign. Bring that master key back, or make a new signing key: `roadstead keys rotate`"
    )]
    Sealed(String),
}

impl KeyRing {
    pub fn open(masters: &Keys, keys: &[StoredKey]) -> Self {
        let open = |key: &StoredKey| {
            let private = if key.retired { None } else { key.open(masters) };
            Arc::new(RingKey {
                stored: key.clone(),
                verifying: DecodingKey::from_ed_der(&key.public),
                signing: private.map(|private| EncodingKey::from_ed_der(&private)),
            })
        };
        Self(keys.iter().map(open).collect())
    }

    /// The newest whose time has come. By a clock that is behind the database's it may be nobody's yet: then the one
    /// that is next, since all that are here are published.
    pub fn signing(&self, now: i64) -> Result<Signer<'_>, KeyError> {
        let due = self.able().filter(|signer| signer.signs_from <= now);
        due.max_by_key(|signer| signer.signs_from)
            .or_else(|| self.able().min_by_key(|signer| signer.signs_from))
            .ok_or_else(|| match self.sealed().next() {
                Some(kid) => KeyError::Sealed(kid.into()),
                None => KeyError::None,
            })
    }

    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.iter().find(|key| key.stored.kid == kid).map(|key| &key.verifying)
    }

    /// The one that signs next.
    pub fn next(&self, now: i64) -> Option<Signer<'_>> {
        let later = self.able().filter(|signer| signer.signs_from > now);
        later.min_by_key(|signer| signer.signs_from)
    }

    /// When the newest of those that can sign began, or begins, to do so.
    pub fn newest(&self) -> Option<i64> {
        self.able().map(|signer| signer.signs_from).max()
    }

    /// Those that are to be retired: a newer one signs.
    pub fn superseded(&self, now: i64) -> Vec<&str> {
        let Ok(signer) = self.signing(now) else { return Vec::new() };
        let older = |key: &&StoredKey| !key.retired && key.signs_from < signer.signs_from;
        self.stored().filter(older).map(|key| &*key.kid).collect()
    }

    /// Those that should sign one day, and do not open.
    pub fn sealed(&self) -> impl Iterator<Item = &str> {
        let sealed = self.0.iter().filter(|key| !key.stored.retired && key.signing.is_none());
        sealed.map(|key| &*key.stored.kid)
    }

    /// The ring without those whose time is over; `None` when there are none.
    pub fn without_expired(&self, now: i64) -> Option<Self> {
        let lives = |key: &&Arc<RingKey>| key.stored.expires_at.is_none_or(|at| at > now);
        let living: Vec<_> = self.0.iter().filter(lives).cloned().collect();
        (living.len() < self.0.len()).then_some(Self(living))
    }

    /// Whether the same keys are in it, and the same of them open.
    pub fn is_as(&self, other: &Self) -> bool {
        let of = |ring: &Self| ring.0.iter().map(|key| key.signing.is_some()).collect::<Vec<_>>();
        self.stored().eq(other.stored()) && of(self) == of(other)
    }

    /// JSON Web Key Set: public halves only, the next one's among them.
    pub fn jwks(&self) -> Value {
        let keys = self.stored().map(|key| {
            let x = secret::encode(&key.public);
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": x})
        });
        json!({"keys": keys.collect::<Vec<_>>()})
    }

    fn stored(&self) -> impl Iterator<Item = &StoredKey> {
        self.0.iter().map(|key| &key.stored)
    }

    /// Those that can sign, now or later.
    fn able(&self) -> impl Iterator<Item = Signer<'_>> {
        self.0.iter().filter_map(|key| {
            let StoredKey { kid, signs_from, .. } = &key.stored;
            Some(Signer { kid, key: key.signing.as_ref()?, signs_from: *signs_from })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masters() -> Keys {
        Keys::parse(&secret::encode(&secret::random::<32>())).expect("a key")
    }

    fn key(masters: &Keys, signs_from: i64) -> StoredKey {
        StoredKey { signs_from, ..NewKey::generate(masters, 0).into() }
    }

    #[test]
    fn the_newest_whose_time_has_come_signs_and_all_verify() {
        let masters = masters();
        let keys = [key(&masters, 100), key(&masters, 200), key(&masters, 300)];
        let ring = KeyRing::open(&masters, &keys);
        for (now, index) in [(99, 0), (100, 0), (199, 0), (200, 1), (299, 1), (300, 2), (9_999, 2)]
        {
            assert_eq!(ring.signing(now).expect("signs").kid, keys[index].kid, "at {now}");
        }
        assert!(keys.iter().all(|key| ring.verifying(&key.kid).is_some()));
        assert!(ring.verifying("another").is_none());
        assert_eq!(ring.next(200).expect("one is later").kid, keys[2].kid);
        assert!(ring.next(300).is_none());
        assert_eq!(ring.newest(), Some(300));
        assert!(ring.is_as(&KeyRing::open(&masters, &keys)));
        assert!(!ring.is_as(&KeyRing::open(&masters, &keys[1..])));
        assert!(!ring.is_as(&KeyRing::open(&self::masters(), &keys)), "none of these opens");
        assert_eq!(ring.superseded(250), [&*keys[0].kid]);
        assert_eq!(ring.superseded(300), [&*keys[0].kid, &keys[1].kid]);
    }

    #[test]
    fn a_key_that_does_not_open_verifies_and_is_an_error_only_when_none_can_sign() {
        let masters = masters();
        let (good, lost) = (key(&masters, 100), key(&self::masters(), 200));
        let ring = KeyRing::open(&masters, &[lost.clone(), good.clone()]);
        assert_eq!(ring.signing(300).expect("signs").kid, good.kid);
        assert!(ring.verifying(&lost.kid).is_some());
        assert_eq!(ring.superseded(300), [""; 0], "the older one is still needed");
        assert_eq!(ring.newest(), Some(100));

        let retired = StoredKey { retired: true, ..good };
        let ring = KeyRing::open(&masters, &[lost.clone(), retired.clone()]);
        assert_eq!(ring.signing(300).err(), Some(KeyError::Sealed(lost.kid)));
        assert_eq!(KeyRing::open(&masters, &[retired]).signing(300).err(), Some(KeyError::None));
        assert_eq!(KeyRing::open(&masters, &[]).signing(300).err(), Some(KeyError::None));
    }

    #[test]
    fn what_is_sealed_under_another_name_or_by_a_release_without_names_opens_all_the_same() {
        let text = [(); 2].map(|()| secret::encode(&secret::random::<32>()));
        let old = Keys::parse(&text[0]).expect("a key");
        let both = Keys::parse(&format!("{}\n1970-01-01T00:01:40Z {}", text[0], text[1]));
        let both = both.expect("two keys");
        let mut stored = key(&old, 0);
        assert!(stored.open(&both).is_some());
        stored.master_kid = None;
        assert!(stored.open(&both).is_some());
        let new = NewKey::generate(&both, 100);
        assert_eq!(new.master_kid, both.current(100).0);
        let stored = StoredKey::from(new);
        assert!(stored.open(&both).is_some() && stored.open(&old).is_none());
    }

    #[test]
    fn an_expired_key_leaves_the_ring() {
        let masters = masters();
        let old = StoredKey { retired: true, expires_at: Some(500), ..key(&masters, 1) };
        let ring = KeyRing::open(&masters, &[old.clone(), key(&masters, 2)]);
        assert!(ring.without_expired(499).is_none());
        let ring = ring.without_expired(500).expect("one is over");
        assert!(ring.verifying(&old.kid).is_none() && ring.signing(500).is_ok());
        assert_eq!(ring.jwks()["keys"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn no_kid_looks_like_an_option() {
        assert!((0..1000).all(|_| !new_kid().starts_with(['-', '_'])));
    }
}
