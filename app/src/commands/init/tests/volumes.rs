use std::{
    collections::BTreeSet,
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt},
    thread,
};

use super::*;

#[test]
fn the_first_run_makes_everything_and_the_second_changes_nothing() {
    let home = Home::made();
    home.assert_whole();
    for file in FILES {
        let mode = fs::metadata(home.path(file)).expect("file").mode() & 0o777;
        assert_eq!(mode, file.volume.file_mode, "{file}");
    }
    for secret in [POSTGRES_OWNER_PASSWORD, APP_PASSWORD, MASTER_KEY, REFRESH_KEY, PEPPER] {
        assert_eq!(home.text(secret).len(), 43, "{secret}");
    }
    let distinct: BTreeSet<_> = home.all().into_values().collect();
    assert_eq!(distinct.len(), FILES.len() - 5, "five are copies");

    let before = home.all();
    let inode = fs::metadata(home.path(SITE_CERTIFICATE)).expect("file").ino();
    home.init("localhost", start()).expect("again");
    assert!(home.changed_since(&before).is_empty());
    let now = fs::metadata(home.path(SITE_CERTIFICATE)).expect("file").ino();
    assert_eq!(inode, now, "not even written again");
}

#[test]
fn an_interrupted_run_is_completed_by_the_next() {
    for made in 0..FILES.len() {
        let home = Home::made();
        let before = home.all();
        for file in &FILES[made..] {
            fs::remove_file(home.path(*file)).expect("remove");
        }
        if let Some(file) = FILES.get(made) {
            let temporary = home.path(*file).with_file_name(format!(".{}.new", file.name));
            fs::write(temporary, "half").expect("half");
        }
        home.init("localhost", start()).expect("again");
        home.assert_whole();
        let changed = home.changed_since(&before);
        for kept in &FILES[..made] {
            assert!(!changed.contains(&kept.to_string()), "{kept} after {made}");
        }
    }
}

#[test]
fn one_lost_file_is_made_again_to_fit_the_others() {
    for lost in FILES {
        let home = Home::made();
        let before = home.all();
        home.put(lost, "");
        home.init("localhost", start()).expect("again");
        home.assert_whole();
        let keys = KEYS.map(|key| key.to_string());
        for changed in home.changed_since(&before) {
            let is_other_key = keys.contains(&changed) && changed != lost.to_string();
            assert!(!is_other_key, "{changed} for the loss of {lost}");
        }
    }
}

#[test]
fn a_lost_password_comes_back_from_its_copy() {
    let home = Home::made();
    let before = home.all();
    for lost in [OWNER_PASSWORD, POSTGRES_APP_PASSWORD] {
        fs::remove_file(home.path(lost)).expect("remove");
    }
    home.init("localhost", start()).expect("again");
    assert!(home.changed_since(&before).is_empty());
}

#[test]
fn modes_that_were_changed_are_set_right() {
    let home = Home::made();
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    for file in FILES {
        fs::set_permissions(home.path(file), Permissions::from_mode(0o666)).expect("mode");
    }
    for volume in VOLUMES {
        let path = volume.path(home.0.path());
        fs::set_permissions(path, Permissions::from_mode(0o777)).expect("mode");
    }
    home.init("localhost", start()).expect("again");
    for file in FILES {
        assert_eq!(mode(&home.path(file)), file.volume.file_mode, "{file}");
    }
    for volume in VOLUMES {
        assert_eq!(mode(&volume.path(home.0.path())), volume.directory_mode);
    }
}

#[test]
fn each_file_belongs_to_the_group_that_reads_it() {
    let home = Home::made();
    let store = Store::open(home.0.path(), true);
    if !geteuid().is_root() {
        // Not in these groups: said so, with the cure.
        let message = store.err().expect("not permitted").to_string();
        assert!(message.contains("group_add"), "{message}");
        return;
    }
    ensure(&store.expect("store"), "localhost", start()).expect("init");
    for file in FILES {
        let group = fs::metadata(home.path(file)).expect("file").gid();
        assert_eq!(group, file.volume.group, "{file}");
    }
    for volume in VOLUMES {
        let group = fs::metadata(volume.path(home.0.path())).expect("volume").gid();
        assert_eq!(group, volume.group, "{}", volume.name);
    }
}

#[test]
fn two_at_once_do_no_harm() {
    let home = Home::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| home.init("localhost", start()).expect("init"));
        }
    });
    home.assert_whole();
}

#[test]
fn a_failure_names_its_cause_and_cure() {
    let message = |home: &Home| {
        let error = home.init("localhost", start()).expect_err("fails");
        error.to_string()
    };
    let home = Home::new();
    fs::remove_dir(APP.path(home.0.path())).expect("remove");
    assert!(message(&home).contains("app-secrets is not mounted"));
    assert!(!home.path(INTERNAL_CA_KEY).exists(), "nothing is written before all is looked at");

    let home = Home::made();
    home.put(APP_PASSWORD, "another");
    let differ = message(&home);
    for word in ["postgres-secrets/app_password", "app-secrets/database_password"] {
        assert!(differ.contains(word), "{differ}");
    }
    assert!(!differ.contains("another"));

    fs::write(home.path(SITE_CERTIFICATE), [0x30, 0x82, 0xff]).expect("write");
    assert!(message(&home).starts_with("cannot read nginx-secrets/site.crt: "));

    home.put(SITE_CA_KEY, "garbage");
    assert!(message(&home).starts_with("init-secrets/site-ca.key is not a private key"));
    assert_eq!(home.text(SITE_CA_KEY), "garbage", "a key is never replaced");
}
