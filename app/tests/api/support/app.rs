//! The application with a database of its own, and those who use it.

use std::{cell::RefCell, io::Write as _, path::Path, process::Stdio};

use roadstead::auth::secret::{encode, random};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    block_on,
    database::{MASTER_KEY, TestDb, session},
    http::{Connection, Reply},
    process::{Slot, roadstead},
};

pub const PASSWORD: &str = "ride safely at anchor";

/// A socket directory and a database, for one or two slots.
pub struct Site {
    pub db: TestDb,
    dir: TempDir,
    settings: Vec<(String, String)>,
}

impl Site {
    pub fn new() -> Self {
        Self::with(&[])
    }

    pub fn with(more: &[(&str, &str)]) -> Self {
        let db = block_on(TestDb::new());
        let mut settings = variables(&db);
        settings.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Self { db, dir: tempfile::tempdir().unwrap(), settings }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// As the superuser.
    pub fn change(&self, sql: &str) {
        block_on(async { session(&self.db.superuser()).await.batch_execute(sql).await.unwrap() });
    }

    pub fn start(&self, slot: &str) -> Slot {
        Slot::start(self.dir(), slot, &self.settings)
    }

    pub fn ready(&self, slot: &str) -> Slot {
        Slot::ready(self.dir(), slot, &self.settings)
    }
}

/// A site with one slot.
pub struct TestApp {
    pub slot: Slot,
    pub site: Site,
}

impl TestApp {
    pub fn spawn() -> Self {
        Self::with(&[])
    }

    pub fn with(more: &[(&str, &str)]) -> Self {
        let site = Site::with(more);
        Self { slot: site.ready("blue"), site }
    }

    pub fn anon(&self) -> Client<'_> {
        Client { app: self, token: None, connection: RefCell::default() }
    }

    /// Signed in, with an account made for it.
    pub fn user(&self, name: &str) -> Client<'_> {
        self.account(name, false)
    }

    pub fn admin(&self) -> Client<'_> {
        self.account("admin", true)
    }

    fn account(&self, name: &str, admin: bool) -> Client<'_> {
        let email = format!("{name}@example.org");
        let admin = if admin { &["--admin"][..] } else { &[] };
        let (created, said) =
            self.run(&[&["user", "create", &email, "--password-stdin"], admin].concat(), PASSWORD);
        assert!(created, "{said}");
        let tokens = self.sign_in(&email, PASSWORD).json();
        self.anon().with_token(tokens["access_token"].as_str().unwrap())
    }

    pub fn sign_in(&self, email: &str, password: &str) -> Reply {
        self.anon().post("/api/v1/auth/token", &json!({"email": email, "password": password}))
    }

    /// The first column of the first row.
    pub fn value(&self, sql: &str) -> String {
        use tokio_postgres::SimpleQueryMessage::Row;
        let answer = block_on(async {
            session(&self.site.db.superuser()).await.simple_query(sql).await.unwrap()
        });
        let row = answer.iter().find_map(|message| match message {
            Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        row.unwrap_or_else(|| panic!("no row: {sql}"))
    }

    pub fn change(&self, sql: &str) {
        self.site.change(sql);
    }

    /// Everything that is in the database, as text.
    pub fn dump(&self) -> String {
        let tables = "SELECT string_agg(quote_ident(tablename), ' ') FROM pg_tables WHERE schemaname = 'public'";
        let dump = |table: &str| {
            self.value(&format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t"))
        };
        self.value(tables).split(' ').map(dump).collect()
    }

    /// Runs a command of the binary with the application's settings; what it said, on either stream.
    pub fn run(&self, words: &[&str], input: &str) -> (bool, String) {
        let mut command = roadstead(words[0]);
        command.args(&words[1..]).envs(self.site.settings.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

/// Somebody with a connection and perhaps a token.
pub struct Client<'a> {
    app: &'a TestApp,
    token: Option<String>,
    connection: RefCell<Option<Connection>>,
}

impl<'a> Client<'a> {
    pub fn with_token(&self, token: &str) -> Client<'a> {
        Client { app: self.app, token: Some(token.into()), connection: RefCell::default() }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), "", b"")
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.send(&format!("DELETE {path}"), "", b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.json(&format!("POST {path}"), body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        self.json(&format!("PATCH {path}"), body)
    }

    fn json(&self, line: &str, body: &Value) -> Reply {
        self.send(line, "Content-Type: application/json\r\n", body.to_string().as_bytes())
    }

    /// One exchange, on the same connection as the one before where that is possible.
    pub fn send(&self, line: &str, head: &str, body: &[u8]) -> Reply {
        let token = self.token.as_ref();
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!("{head}{}", bearer.unwrap_or_default());
        let kept = self.connection.take();
        let mut connection =
            kept.unwrap_or_else(|| Connection::open(&self.app.slot.socket).unwrap());
        let reply = connection.exchange(line, &head, body).unwrap();
        if !reply.closes() {
            *self.connection.borrow_mut() = Some(connection);
        }
        reply
    }
}

/// What a slot needs to know of its database, and secrets that the template's key was sealed with.
fn variables(db: &TestDb) -> Vec<(String, String)> {
    let database = db.app();
    [
        ("ROADSTEAD_DATABASE__HOST", database.host),
        ("ROADSTEAD_DATABASE__PORT", database.port.to_string()),
        ("ROADSTEAD_DATABASE__NAME", database.name),
        ("ROADSTEAD_DATABASE__USER", database.user),
        ("ROADSTEAD_DATABASE__POOL_SIZE", "4".into()),
        ("ROADSTEAD_AUTH__MASTER_KEY", MASTER_KEY.into()),
        ("ROADSTEAD_AUTH__REFRESH_KEY", encode(&random::<32>())),
        ("ROADSTEAD_AUTH__PEPPER", encode(&random::<32>())),
        // Out of the way: all come from one address.
        ("ROADSTEAD_AUTH__SIGN_IN_LIMIT", "1000000".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
