use std::time::{Duration, Instant};

use roadstead::{
    config::Database,
    db::{
        Db,
        migrate::{self, MigrateError, Patience, REQUIRED, STEPS, Step},
    },
};

use crate::support::{
    again::Again,
    database::{TestDb, session},
};

const PATIENCE: Patience =
    Patience { lock: Duration::from_millis(200), pause: Duration::from_millis(300), tries: 20 };

async fn run(settings: &Database, steps: &[Step]) -> Result<usize, MigrateError> {
    migrate::run(&session(settings).await, steps, &PATIENCE).await
}

async fn text(settings: &Database, sql: &str) -> String {
    session(settings)
        .await
        .query_one(sql, &[])
        .await
        .unwrap()
        .get::<_, Option<_>>(0)
        .unwrap_or_default()
}

#[tokio::test]
async fn an_empty_database_gets_all_steps_and_a_second_run_changes_nothing() {
    let db = TestDb::empty().await;
    let owner = Db::connect(&db.owner()).unwrap();
    let client = owner.get().await.unwrap();
    assert_eq!(migrate::applied(&client).await.unwrap().version, 0);
    assert_eq!(run(&db.owner(), STEPS).await.unwrap(), STEPS.len());
    assert_eq!(migrate::applied(&client).await.unwrap().version, REQUIRED);
    assert_eq!(run(&db.owner(), STEPS).await.unwrap(), 0);
}

#[tokio::test]
async fn one_user_alone_can_have_the_schema_too() {
    let db = TestDb::empty().await;
    assert_eq!(run(&db.superuser(), STEPS).await.unwrap(), STEPS.len());
}

#[tokio::test]
async fn the_application_may_touch_rows_and_nothing_else() {
    let db = TestDb::new().await;
    let app = session(&db.app()).await;
    let tables = app.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", &[]);
    for table in tables.await.unwrap().iter().map(|row| row.get::<_, String>(0)) {
        for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES"] {
            let sql = "SELECT has_table_privilege(current_user, $1, $2)";
            let has: bool = app.query_one(sql, &[&table, &privilege]).await.unwrap().get(0);
            let may = match (table.as_str(), privilege) {
                ("schema_migrations", privilege) => privilege == "SELECT",
                ("audit_events", "UPDATE" | "DELETE") => false,
                (_, privilege) => !["TRUNCATE", "REFERENCES"].contains(&privilege),
            };
            assert_eq!(has, may, "{privilege} on {table}");
        }
    }
    for sql in ["CREATE TABLE x ()", "CREATE TEMPORARY TABLE x ()", "DROP TABLE notes"] {
        let error = app.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{sql}");
    }
}

/// The application answers by their names.
#[tokio::test]
async fn every_constraint_is_named_after_its_table() {
    let db = TestDb::new().await;
    let odd = "SELECT string_agg(conname, ' ') FROM pg_constraint
               WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
                 AND (NOT starts_with(conname, conrelid::regclass::text)
                      OR conname ~ '([0-9]|_check)$')";
    assert_eq!(text(&db.owner(), odd).await, "");
}

#[tokio::test]
async fn two_runners_at_once_apply_each_step_once() {
    let db = TestDb::empty().await;
    let index = Step::new(
        "9001_index.sql",
        "-- roadstead: no-transaction\nCREATE INDEX CONCURRENTLY notes_title ON notes (title);\n",
    );
    let steps: Vec<Step> =
        STEPS.iter().map(|step| Step::new(step.name, step.sql)).chain([index]).collect();
    let owner = db.owner();
    let (one, other) = tokio::join!(run(&owner, &steps), run(&owner, &steps));
    let mut applied = [one.unwrap(), other.unwrap()];
    applied.sort();
    assert_eq!(applied, [0, steps.len()]);
}

#[tokio::test]
async fn a_step_changed_after_it_was_applied_is_refused_by_name() {
    let db = TestDb::empty().await;
    let owner = db.owner();
    run(&owner, &[Step::new("0001_a.sql", "CREATE TABLE a ()")]).await.unwrap();
    let steps = [Step::new("0001_a.sql", "CREATE TABLE b ()"), Step::new("0002_c.sql", "SELECT 1")];
    let error = run(&owner, &steps).await.unwrap_err();
    assert!(error.to_string().starts_with("0001_a.sql was changed"), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_no_error_but_a_step_that_comes_too_late_is() {
    let db = TestDb::empty().await;
    let owner = db.owner();
    let [one, two, three] =
        ["0001_a.sql", "0002_b.sql", "0003_c.sql"].map(|n| Step::new(n, "SELECT 1"));
    assert_eq!(run(&owner, &[one, three]).await.unwrap(), 2);
    assert_eq!(run(&owner, &[Step::new("0001_a.sql", "SELECT 1")]).await.unwrap(), 0);
    let error = run(&owner, &[two]).await.unwrap_err();
    assert!(
        matches!(error, MigrateError::OutOfOrder { pending: "0002_b.sql", applied: 3 }),
        "{error}"
    );
}

static FIRST: [Step; 1] = [Step::new("0001_a.sql", "SELECT 1")];
static BOTH: [Step; 2] = [
    Step::new("0001_a.sql", "SELECT 1"),
    Step::new("0002_b.sql", "-- roadstead: contract, readers from 0002\nSELECT 2"),
];

#[tokio::test]
async fn a_check_tells_what_is_pending_and_what_it_would_break_and_changes_nothing() {
    let db = TestDb::empty().await;
    let session = session(&db.owner()).await;
    let check = |steps, running| migrate::check(&session, steps, running);
    assert_eq!(check(&BOTH, None).await.unwrap(), ["0001_a.sql", "0002_b.sql"]);
    assert_eq!(text(&db.owner(), "SELECT to_regclass('schema_migrations')::text").await, "");

    run(&db.owner(), &FIRST).await.unwrap();
    assert_eq!(check(&BOTH, Some(2)).await.unwrap(), ["0002_b.sql"]);
    let error = check(&BOTH, Some(1)).await.unwrap_err();
    assert!(
        matches!(error, MigrateError::Breaks { name: "0002_b.sql", readers_from: 2, running: 1 }),
        "{error}"
    );
    // As it was before there were contracts.
    session.batch_execute("ALTER TABLE schema_migrations DROP COLUMN readers_from").await.unwrap();
    assert_eq!(check(&BOTH, Some(2)).await.unwrap(), ["0002_b.sql"]);
}

#[tokio::test]
async fn a_program_that_the_schema_has_gone_past_is_told_so() {
    let db = TestDb::empty().await;
    run(&db.owner(), &BOTH).await.unwrap();
    let session = session(&db.owner()).await;
    for error in [
        migrate::check(&session, &FIRST, None).await.unwrap_err(),
        run(&db.owner(), &FIRST).await.unwrap_err(),
    ] {
        assert!(matches!(error, MigrateError::Past { readers_from: 2, required: 1 }), "{error}");
    }
    assert_eq!(migrate::check(&session, &BOTH, Some(1)).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_faulty_step_is_named_with_its_line_and_leaves_nothing() {
    let db = TestDb::empty().await;
    let owner = db.owner();
    let steps = [Step::new("0001_a.sql", "CREATE TABLE a ();\n\nCREATE TABEL b ();\n")];
    let error = run(&owner, &steps).await.unwrap_err().to_string();
    assert!(error.starts_with("0001_a.sql, line 3: "), "{error}");
    assert_eq!(text(&owner, "SELECT to_regclass('a')::text").await, "");

    let bare = "-- roadstead: no-transaction\nSELECT 1;\n\nSELECT\n  nothing;\n";
    let error = run(&owner, &[Step::new("0001_a.sql", bare)]).await.unwrap_err().to_string();
    assert!(error.starts_with("0001_a.sql, line 5: "), "{error}");
}

#[tokio::test]
async fn a_step_that_waits_for_a_table_keeps_nobody_else_waiting() {
    let db = TestDb::new().await;
    let owner = db.owner();
    let report = session(&owner).await;
    report.batch_execute("BEGIN; SELECT count(*) FROM notes").await.unwrap();

    let steps = [Step::new("9001_a.sql", "ALTER TABLE notes ADD COLUMN colour text")];
    let migration = run(&owner, &steps);
    let readers = async {
        let reader = session(&owner).await;
        let mut longest = Duration::ZERO;
        for _ in 0..100 {
            let begun = Instant::now();
            reader.query("SELECT id FROM notes", &[]).await.unwrap();
            longest = longest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        report.batch_execute("COMMIT").await.unwrap();
        longest
    };
    let (applied, longest) = tokio::join!(migration, readers);
    assert_eq!(applied.unwrap(), 1);
    // It did wait behind the step, but only as long as the step has patience.
    assert!((100..600).contains(&longest.as_millis()), "{longest:?}");
}

#[tokio::test]
async fn a_table_that_stays_in_use_ends_the_migration_with_a_word() {
    let db = TestDb::new().await;
    let report = session(&db.owner()).await;
    report.batch_execute("BEGIN; SELECT count(*) FROM notes").await.unwrap();
    let patience = Patience { tries: 2, pause: Duration::ZERO, ..PATIENCE };
    let steps = [Step::new("9001_a.sql", "ALTER TABLE notes ADD COLUMN colour text")];
    let error = migrate::run(&session(&db.owner()).await, &steps, &patience).await.unwrap_err();
    assert!(error.to_string().starts_with("9001_a.sql: a table that it needs"), "{error}");
}

#[tokio::test]
async fn an_index_left_invalid_is_no_success() {
    let db = TestDb::empty().await;
    let owner = db.owner();
    session(&owner)
        .await
        .batch_execute("CREATE TABLE a (x int); INSERT INTO a VALUES (1), (1)")
        .await
        .unwrap();
    let index = "-- roadstead: no-transaction
        CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_x ON a (x);";
    let steps = [Step::new("0001_a.sql", index)];
    let error = run(&owner, &steps).await.unwrap_err();
    assert!(matches!(error, MigrateError::Failed { .. }), "{error}");
    let error = run(&owner, &steps).await.unwrap_err();
    assert!(
        matches!(&error, MigrateError::InvalidIndex { index, .. } if index == "a_x"),
        "{error}"
    );
}

/// The first sleeps in the middle of its transaction, the second waits for the end of an old one.
const SLOW: &str = "CREATE TABLE b (); SELECT pg_sleep(60)";
const QUICK: &str = "CREATE TABLE b (); SELECT pg_sleep(0)";
const INDEX: &str = "-- roadstead: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS a_x;
CREATE INDEX CONCURRENTLY a_x ON a (x);
";

#[tokio::test]
#[ignore = "a process for the next tests to kill"]
async fn a_process_that_migrates() {
    let input = std::env::var("INPUT").unwrap();
    let [host, name, kind] = input.split(' ').collect::<Vec<_>>()[..] else { panic!("{input}") };
    let settings = Database {
        host: host.into(),
        name: name.into(),
        user: "roadstead_owner".into(),
        ..Database::default()
    };
    println!("ready to be killed");
    let sql = if kind == "index" { INDEX } else { SLOW };
    run(&settings, &[Step::new("0001_b.sql", sql)]).await.unwrap();
}

/// Starts that process, and kills it while a statement that is like `statement` runs.
async fn kill_during(settings: &Database, kind: &str, statement: &str) {
    let input = format!("{} {} {kind}", settings.host, settings.name);
    let (process, _) = Again::run("migrate::a_process_that_migrates", &input);
    let watch = session(settings).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()";
    let begun = Instant::now();
    while watch.query_one(running, &[&statement]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come to {statement}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.kill();
}

#[tokio::test]
async fn a_step_whose_runner_was_killed_is_completed_by_the_next_one() {
    let db = TestDb::empty().await;
    kill_during(&db.owner(), "slow", "%pg_sleep%").await;
    // The server notices within two seconds; until then the lock is taken.
    let begun = Instant::now();
    assert_eq!(run(&db.owner(), &[Step::new("0001_b.sql", QUICK)]).await.unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_index_whose_builder_was_killed_is_built_again_by_the_next_one() {
    let db = TestDb::empty().await;
    let owner = db.owner();
    let old = session(&owner).await;
    old.batch_execute("CREATE TABLE a (x int)").await.unwrap();
    old.batch_execute("BEGIN; INSERT INTO a VALUES (1)").await.unwrap();
    kill_during(&owner, "index", "%CREATE INDEX%").await;
    let invalid =
        "SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index WHERE NOT indisvalid";
    assert_eq!(text(&owner, invalid).await, "a_x");

    let steps = [Step::new("0001_b.sql", INDEX)];
    let (applied, ()) = tokio::join!(run(&owner, &steps), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        old.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(applied.unwrap(), 1);
    assert_eq!(text(&owner, invalid).await, "");
}
