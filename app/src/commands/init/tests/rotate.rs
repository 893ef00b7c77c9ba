use time::Duration;

use super::*;
use crate::{
    auth::secret::Keys,
    commands::init::rotate::{KeyKind, rotate},
};

impl Home {
    fn rotate(&self, kind: KeyKind, prune: bool, now: OffsetDateTime) -> Result<(), InitError> {
        rotate(&Store::open(self.0.path(), false)?, kind, prune, now)
    }

    fn keys(&self, file: SecretFile) -> Keys {
        Keys::parse(&self.text(file)).expect("keys")
    }

    fn ids(&self, file: SecretFile) -> Vec<String> {
        self.keys(file).iter().map(|(id, _)| id.to_owned()).collect()
    }
}

#[test]
fn a_new_key_is_used_from_its_time_on_and_the_old_ones_stay() {
    for (kind, file) in
        [(KeyKind::Master, MASTER_KEY), (KeyKind::Refresh, REFRESH_KEY), (KeyKind::Pepper, PEPPER)]
    {
        let home = Home::made();
        let before = home.all();
        let old = home.ids(file);
        home.rotate(kind, false, start()).expect("rotate");
        assert_eq!(home.changed_since(&before), [file.to_string()]);
        let keys = home.keys(file);
        let seconds = start().unix_timestamp();
        assert_eq!(keys.current(seconds + 19).0, old[0]);
        assert_ne!(keys.current(seconds + 20).0, old[0]);
        assert_eq!(home.ids(file)[..1], old[..]);

        let before = home.all();
        home.init("localhost", start()).expect("init");
        assert!(home.changed_since(&before).is_empty(), "init leaves it as it is");
        home.assert_whole();
    }
}

#[test]
fn a_refresh_key_goes_when_no_token_can_be_its_own_and_others_when_told() {
    let home = Home::made();
    let day = |day| start() + Duration::days(day);
    for (kind, file) in [(KeyKind::Refresh, REFRESH_KEY), (KeyKind::Pepper, PEPPER)] {
        home.rotate(kind, false, day(0)).expect("rotate");
        home.rotate(kind, false, day(31)).expect("rotate");
        assert_eq!(home.ids(file).len(), 3, "20 seconds less than 31 days");
    }
    let (refresh, pepper) = (home.ids(REFRESH_KEY), home.ids(PEPPER));
    home.rotate(KeyKind::Refresh, false, day(32)).expect("rotate");
    home.rotate(KeyKind::Pepper, false, day(32)).expect("rotate");
    assert_eq!(home.ids(REFRESH_KEY)[..2], refresh[1..], "the first one is gone");
    assert_eq!(home.ids(PEPPER)[..3], pepper[..]);

    let hour = day(32) + Duration::hours(1);
    home.rotate(KeyKind::Pepper, true, hour).expect("prune");
    let left = home.ids(PEPPER);
    assert_eq!(left.len(), 2, "the one in use has not been so for an hour");
    assert_eq!(left[0], pepper[2]);
    home.rotate(KeyKind::Pepper, true, hour + Duration::seconds(20)).expect("prune");
    assert_eq!(home.ids(PEPPER), left[1..]);
    let before = home.all();
    home.rotate(KeyKind::Pepper, true, day(32)).expect("prune");
    assert!(home.changed_since(&before).is_empty());
}

#[test]
fn what_is_wrong_with_the_file_is_named_and_nothing_changed() {
    let home = Home::made();
    home.put(PEPPER, "yesterday x");
    let error = home.rotate(KeyKind::Pepper, false, start()).expect_err("wrong").to_string();
    assert!(error.starts_with("app-secrets/pepper: a line must begin with a time"), "{error}");
    home.put(PEPPER, "");
    let error = home.rotate(KeyKind::Pepper, false, start()).expect_err("missing").to_string();
    assert!(error.contains("`roadstead init` makes it"), "{error}");
    assert_eq!(home.text(PEPPER), "");
}
