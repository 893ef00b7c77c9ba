use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use roadstead::{
    config::Database,
    db::{Db, DbError, throwaway::Throwaway},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::support::database::{TestDb, session};

const INSERT_USER: &str = "INSERT INTO users (id, email, password_hash) VALUES ($1, $2, 'x')";
const COUNT_USERS: &str = "SELECT count(*) FROM users";

fn connect(settings: &Database) -> Db {
    Db::connect(settings).unwrap()
}

#[tokio::test]
async fn limits_hold_before_the_first_statement() {
    let db = TestDb::new().await;
    let client = connect(&db.app()).get().await.unwrap();
    for (sql, value) in [
        ("SHOW statement_timeout", "15s"),
        ("SHOW lock_timeout", "5s"),
        ("SHOW idle_in_transaction_session_timeout", "15s"),
        ("SHOW client_connection_check_interval", "2s"),
        ("SHOW search_path", "public,pg_temp"),
        ("SHOW application_name", "roadstead"),
        ("SHOW timezone", "UTC"),
    ] {
        assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, String>(0), value, "{sql}");
    }
}

#[tokio::test]
async fn work_with_the_database_can_be_spawned() {
    let db = TestDb::new().await;
    let db = connect(&db.app());
    let counted = tokio::spawn(async move {
        let transaction = db.begin().await?;
        let row = transaction.query_one(COUNT_USERS, &[]).await?;
        transaction.commit().await?;
        Ok::<i64, DbError>(row.get(0))
    });
    assert_eq!(counted.await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_pool_in_use_is_unavailable_once_the_wait_is_over() {
    let db = TestDb::new().await;
    let db = connect(&Database { pool_size: 1, wait_ms: 300, ..db.app() });
    let held = db.get().await.unwrap();
    let begun = Instant::now();
    let error = db.get().await.err().unwrap();
    assert!(error.is_unavailable(), "{error}");
    assert!((300..600).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    drop(held);
    db.get().await.unwrap();
}

#[tokio::test]
async fn a_statement_over_its_time_is_unavailable() {
    let db = TestDb::new().await;
    let db = connect(&Database { statement_timeout_ms: 100, ..db.app() });
    let error = db.get().await.unwrap().query("SELECT pg_sleep(5)", &[]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn a_violated_constraint_has_a_name() {
    let db = TestDb::new().await;
    let client = connect(&db.app()).get().await.unwrap();
    client.execute(INSERT_USER, &[&Uuid::new_v4(), &"a@example.org"]).await.unwrap();
    for (email, constraint) in [
        ("a@example.org", "users_email_key"),
        ("A@example.org", "users_email_normalised"),
        ("a", "users_email_length"),
    ] {
        let error = client.execute(INSERT_USER, &[&Uuid::new_v4(), &email]).await.unwrap_err();
        assert_eq!(error.constraint(), Some(constraint), "{error}");
        assert!(!error.is_unavailable());
        assert!(!error.to_string().contains("example.org"), "it quotes the row: {error}");
    }
}

#[tokio::test]
async fn a_transaction_without_commit_never_was() {
    let db = TestDb::new().await;
    let db = connect(&Database { pool_size: 1, ..db.app() });
    let transaction = db.begin().await.unwrap();
    transaction.execute(INSERT_USER, &[&Uuid::new_v4(), &"a@example.org"]).await.unwrap();
    drop(transaction);
    let client = db.get().await.unwrap();
    assert_eq!(client.query_one(COUNT_USERS, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_does_not_claim_to_commit() {
    let db = TestDb::new().await;
    let transaction = connect(&db.app()).begin().await.unwrap();
    transaction.execute(INSERT_USER, &[&Uuid::new_v4(), &"A"]).await.unwrap_err();
    assert!(matches!(transaction.commit().await, Err(DbError::Aborted)));
}

#[tokio::test]
async fn a_column_added_under_a_running_slot_fails_no_request() {
    let test_db = TestDb::new().await;
    let db = connect(&Database { pool_size: 1, ..test_db.app() });
    for statement in ["ADD COLUMN a int", "ADD COLUMN b int", "ALTER COLUMN a TYPE text"] {
        db.get().await.unwrap().query("SELECT * FROM notes", &[]).await.unwrap();
        let change = format!("ALTER TABLE notes {statement}");
        session(&test_db.owner()).await.batch_execute(&change).await.unwrap();
    }
    db.get().await.unwrap().query("SELECT * FROM notes", &[]).await.unwrap();
}

/// A client hangs up in the middle of a slow request; the next request gets the same connection.
#[tokio::test]
async fn an_abandoned_statement_does_not_delay_the_next_request() {
    let test_db = TestDb::new().await;
    let db = connect(&Database { pool_size: 1, wait_ms: 2_000, ..test_db.app() });
    let client = db.get().await.unwrap();
    let asked = timeout(Duration::from_millis(100), client.query("SELECT pg_sleep(10)", &[]));
    assert!(asked.await.is_err());
    drop(client);

    let begun = Instant::now();
    db.get().await.unwrap().query("SELECT 1", &[]).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_800), "{:?}", begun.elapsed());
    // And the server gives it up, too.
    let watch = session(&test_db.superuser()).await;
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                      AND state = 'active' AND query = 'SELECT pg_sleep(10)'";
    while watch.query_one(sleeping, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it still runs");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_database_cut_off_is_unavailable_at_once_and_comes_back() {
    let test_db = TestDb::new().await;
    let db = connect(&test_db.app());
    db.get().await.unwrap().query(COUNT_USERS, &[]).await.unwrap();
    test_db.cut_off().await;
    let begun = Instant::now();
    assert!(db.get().await.err().unwrap().is_unavailable());
    assert!(begun.elapsed() < Duration::from_millis(500));
    test_db.restore().await;
    db.get().await.unwrap().query(COUNT_USERS, &[]).await.unwrap();
}

/// Sixteen requests at once on four connections, while the server restarts: what was in its hands
/// is lost, nothing else.
#[tokio::test]
async fn a_restart_of_the_server_costs_only_what_it_interrupts() {
    const CLIENTS: usize = 16;
    const POOL: usize = 4;
    let mut server = Throwaway::start(&[]).unwrap();
    let db = connect(&Database {
        pool_size: POOL,
        wait_ms: 5_000,
        ..server.database("roadstead", "roadstead_app")
    });
    let (failed, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stopping = AtomicBool::new(false);
    let request = async || {
        let client = db.get().await?;
        client.query_one("SELECT 1", &[]).await
    };
    let client = async || {
        while !stopping.load(Ordering::Relaxed) {
            match request().await {
                Ok(_) => _ = answered.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    assert!(error.is_unavailable(), "{error}");
                    eprintln!("{error:?}");
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let restart = async {
        sleep(Duration::from_millis(300)).await;
        let (server, stopped, up) = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            server.stop();
            let stopped = begun.elapsed();
            server.resume().unwrap();
            (server, stopped, begun.elapsed())
        })
        .await
        .unwrap();
        let before = answered.load(Ordering::Relaxed);
        let begun = Instant::now();
        while answered.load(Ordering::Relaxed) == before {
            assert!(begun.elapsed() < Duration::from_secs(2), "no answer after the restart");
            sleep(Duration::from_millis(1)).await;
        }
        let healed = begun.elapsed();
        sleep(Duration::from_millis(300)).await;
        stopping.store(true, Ordering::Relaxed);
        eprintln!(
            "stopped in {stopped:?}, up again after {up:?}, answers after another {healed:?}"
        );
        server
    };
    let clients = futures_util::future::join_all((0..CLIENTS).map(|_| client()));
    let (_server, _) = tokio::join!(restart, clients);
    let (failed, answered) = (failed.into_inner(), answered.into_inner());
    eprintln!("{answered} answered, {failed} failed");
    assert!(failed <= POOL, "{failed} failed");
}
