//! What changes, and what follows from it.

use std::{path::Path, process::Command, sync::mpsc, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Editors write a file in several steps.
const SETTLED: Duration = Duration::from_millis(150);

/// Calls `changed` after each change of the program's source, until that says false.
pub fn source(changed: impl Fn() -> bool + Send + 'static) -> Option<RecommendedWatcher> {
    watch(&["app/src", "app/migrations", "app/Cargo.toml", "Cargo.lock"], changed)
}

/// The same for any folder or file.
pub fn watch(
    paths: &[impl AsRef<Path>],
    changed: impl Fn() -> bool + Send + 'static,
) -> Option<RecommendedWatcher> {
    let (events, woken) = mpsc::channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change.
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            let _ = events.send(());
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            eprintln!("roadstead dev: changes are not noticed: {error}");
            return None;
        }
    };
    for path in paths {
        if let Err(error) = watcher.watch(path.as_ref(), RecursiveMode::Recursive) {
            eprintln!(
                "roadstead dev: changes of {} are not noticed: {error}",
                path.as_ref().display()
            );
        }
    }
    std::thread::spawn(move || {
        while woken.recv().is_ok() {
            while woken.recv_timeout(SETTLED).is_ok() {}
            if !changed() {
                return;
            }
        }
    });
    Some(watcher)
}

/// Whether there is a new program; what the compiler says is on the screen.
pub fn build() -> bool {
    println!("  changed: building …");
    match Command::new("cargo").args(["build", "--quiet", "--bin", "roadstead"]).status() {
        Ok(status) if status.success() => true,
        Ok(_) => {
            println!("  the build failed; the server from before goes on");
            false
        }
        Err(error) => {
            eprintln!("roadstead dev: cannot run cargo: {error}");
            false
        }
    }
}
