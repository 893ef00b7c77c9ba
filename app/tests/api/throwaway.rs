use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use roadstead::db::{Db, throwaway::Throwaway};

use crate::support::again::Again;

#[tokio::test]
async fn a_throwaway_server_stands_and_leaves_nothing() {
    let begun = Instant::now();
    let server = Throwaway::start(&[]).unwrap();
    let settings = server.database("roadstead", "roadstead_app");
    eprintln!("a throwaway PostgreSQL took {} ms", begun.elapsed().as_millis());
    let db = Db::connect(&settings).unwrap();
    db.get().await.unwrap().query_one("SELECT 1", &[]).await.unwrap();
    assert!(settings.host.len() < 80, "{}", settings.host);
    drop(server);
    assert!(!Path::new(&settings.host).exists());
}

#[test]
#[ignore = "a process for the next test to kill"]
fn a_process_with_a_throwaway_server() {
    let server = Throwaway::start(&[]).unwrap();
    println!("ready {}", server.database("roadstead", "postgres").host);
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_throwaway_server_dies_with_a_killed_process_and_the_next_start_removes_its_folder() {
    let (process, folder) = Again::run("throwaway::a_process_with_a_throwaway_server", "");
    let status = fs::read_to_string(Path::new(&folder).join("data/postmaster.pid")).unwrap();
    let server = Path::new("/proc").join(status.lines().next().unwrap());
    assert!(server.exists());
    process.kill();

    let killed = Instant::now();
    let gone = |path: &Path| {
        while path.exists() {
            assert!(killed.elapsed() < Duration::from_secs(30), "{} stays", path.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    gone(&server);
    // Or another test's start removes it, before ours or just now.
    drop(Throwaway::start(&[]).unwrap());
    gone(Path::new(&folder));
}
