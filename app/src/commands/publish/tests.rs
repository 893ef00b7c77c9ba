use std::{os::unix::fs::MetadataExt, thread};

use tempfile::TempDir;

use super::*;

const FIRST: &str = "00000000000000aa";

/// An image with one release in it, and a site volume.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("directory"));
        fs::create_dir(host.site()).expect("site");
        host
    }

    fn site(&self) -> PathBuf {
        self.0.path().join("site")
    }

    fn image(&self, digest: &str) -> PathBuf {
        let image = self.0.path().join("images").join(digest);
        let js = image.join(digest).join("js");
        if !js.is_dir() {
            fs::create_dir_all(&js).expect("release");
            fs::write(js.join("app.js"), "let a;").expect("js");
            fs::write(js.join("app.js.gz"), "gz").expect("gz");
            fs::write(image.join(digest).join("index.html"), digest).expect("page");
        }
        image
    }

    fn publish(&self, digest: &str, activate: bool) -> Result<(), PublishError> {
        run(&self.image(digest), &self.site(), activate)
    }

    fn releases(&self) -> Vec<String> {
        let entries = fs::read_dir(self.site().join("releases")).expect("releases");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
            .collect();
        names.sort();
        names
    }

    fn page(&self) -> String {
        fs::read_to_string(self.site().join("current/index.html")).expect("page")
    }
}

fn digest(number: usize) -> String {
    format!("{number:016x}")
}

#[test]
fn a_release_is_published_and_only_then_activated() {
    let host = Host::new();
    host.publish(FIRST, false).expect("publish");
    assert_eq!(host.releases(), [FIRST]);
    assert!(!host.site().join("current").exists());
    for _ in 0..2 {
        host.publish(FIRST, true).expect("activate");
        assert_eq!(host.page(), FIRST);
    }
    let link = fs::read_link(host.site().join("current")).expect("link");
    assert_eq!(link, Path::new("releases").join(FIRST));
}

#[test]
fn the_time_of_a_file_is_that_of_its_release() {
    let host = Host::new();
    for digest in [FIRST, "f000000000000000"] {
        host.publish(digest, false).expect("publish");
    }
    let time = |path: &str| {
        let path = host.site().join("releases").join(path);
        fs::metadata(path).expect("file").mtime()
    };
    let script = time("00000000000000aa/js/app.js");
    assert_eq!(script, time("00000000000000aa/js/app.js.gz"));
    assert_eq!(script, time("00000000000000aa/index.html"));
    assert_ne!(script, time("f000000000000000/index.html"));
}

#[test]
fn the_current_release_and_five_more_stay() {
    let host = Host::new();
    host.publish(&digest(0), true).expect("publish");
    for number in 1..=7 {
        host.publish(&digest(number), false).expect("publish");
    }
    let expected: Vec<_> = [0, 3, 4, 5, 6, 7].map(digest).into();
    assert_eq!(host.releases(), expected);
    // The oldest of them becomes the newest by being published again.
    host.publish(&digest(3), false).expect("publish");
    host.publish(&digest(8), false).expect("publish");
    let expected: Vec<_> = [0, 3, 5, 6, 7, 8].map(digest).into();
    assert_eq!(host.releases(), expected);
}

#[test]
fn a_clock_that_was_set_back_removes_no_new_release() {
    let host = Host::new();
    for number in 0..=5 {
        host.publish(&digest(number), false).expect("publish");
        let path = host.site().join("releases").join(digest(number));
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        let directory = File::open(path).expect("release");
        directory.set_modified(tomorrow).expect("time");
    }
    assert!(host.releases().contains(&digest(5)));
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    let host = Host::new();
    host.publish(FIRST, true).expect("publish");
    let broken = digest(2);
    let dangling = host.image(&broken).join(&broken).join("zzz");
    symlink("/nowhere", &dangling).expect("link");
    let error = host.publish(&broken, true).expect_err("dangling");
    assert!(error.to_string().contains("zzz"), "{error}");
    assert_eq!(host.releases(), [FIRST]);
    assert_eq!(host.page(), FIRST);
    fs::remove_file(dangling).expect("remove");
    host.publish(&broken, true).expect("publish");
    assert_eq!(host.page(), broken);
}

#[test]
fn an_interrupted_run_is_made_good() {
    let host = Host::new();
    for left in [".incoming", ".outgoing"] {
        let left = host.site().join("releases").join(left);
        fs::create_dir_all(&left).expect("left");
        fs::write(left.join("index.html"), "half").expect("half");
    }
    symlink("releases/gone", host.site().join(".current.next")).expect("link");
    host.publish(FIRST, true).expect("publish");
    assert_eq!(host.releases(), [FIRST]);
    assert_eq!(host.page(), FIRST);
}

#[test]
fn two_at_once_do_no_harm() {
    let host = Host::new();
    host.image(FIRST);
    thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| host.publish(FIRST, true))).collect();
        for run in runs {
            run.join().expect("thread").expect("publish");
        }
    });
    assert_eq!(host.releases(), [FIRST]);
    assert_eq!(host.page(), FIRST);
}

#[test]
fn an_image_without_a_release_is_refused() {
    let host = Host::new();
    let empty = host.0.path().join("empty");
    fs::create_dir(&empty).expect("directory");
    let refused = |release: &Path| {
        let error = run(release, &host.site(), true).expect_err("no release");
        assert!(error.to_string().contains("exactly one"), "{error}");
    };
    refused(&empty);
    fs::create_dir(empty.join("latest")).expect("directory");
    refused(&empty);
    let two = host.image(FIRST);
    fs::create_dir(two.join(digest(2))).expect("directory");
    refused(&two);
}
