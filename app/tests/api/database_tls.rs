//! The way to PostgreSQL over TCP: one CA is believed, one name, and the password is shown to
//! nobody else.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, chown},
    path::Path,
    time::{Duration, Instant},
};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SignatureAlgorithm,
};
use roadstead::{
    config::{Database, Settings},
    db::{Db, DbError, throwaway::Throwaway},
};

use tokio::time::sleep;

use crate::support::database::session;

const PASSWORD: &str = "correct horse";

struct Server {
    _server: Throwaway,
    admin: Database,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    /// Over TCP it asks for a password, and has a certificate for `localhost` of the CA in
    /// `ca.crt`.
    async fn start(algorithm: &'static SignatureAlgorithm) -> Self {
        // Free a moment ago, which is as good as it gets.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server =
            Throwaway::start(&["listen_addresses=127.0.0.1", &format!("port={port}")]).unwrap();
        let admin = Database { port, ..server.database("postgres", "postgres") };
        let folder = tempfile::tempdir().unwrap();
        let data = Path::new(&admin.host).join("data");
        let (ca, certificate, key) = certificate(algorithm);
        fs::write(folder.path().join("ca.crt"), ca).unwrap();
        fs::write(folder.path().join("other.crt"), self::certificate(algorithm).0).unwrap();
        put(&data, "server.crt", &certificate);
        put(&data, "server.key", &key);
        put(&data, "pg_hba.conf", "local all all trust\nhostssl all all all scram-sha-256\n");
        let password = format!("ALTER ROLE roadstead_app PASSWORD '{PASSWORD}'");
        session(&admin).await.batch_execute(&password).await.unwrap();
        switch_tls(&admin, "on").await;
        Self { _server: server, admin, folder, port }
    }

    /// Settings as in the stack, with `changes` put in.
    fn settings(&self, changes: &[(&str, &str)]) -> Database {
        let ca = self.folder.path().join("ca.crt");
        let base = [
            ("HOST", "localhost"),
            ("PORT", &self.port.to_string()),
            ("PASSWORD", PASSWORD),
            ("CA_FILE", ca.to_str().unwrap()),
        ];
        let variables = base
            .iter()
            .chain(changes)
            .map(|(name, value)| (format!("ROADSTEAD_DATABASE__{name}"), (*value).to_owned()));
        Settings::read(variables.collect()).unwrap().database
    }

    async fn refused(&self, changes: &[(&str, &str)]) -> DbError {
        match Db::connect(&self.settings(changes)) {
            Ok(db) => db.get().await.err().expect("it is let in"),
            Err(error) => error,
        }
    }
}

async fn switch_tls(admin: &Database, to: &str) {
    let switch = session(admin).await;
    switch.batch_execute(&format!("ALTER SYSTEM SET ssl = {to}")).await.unwrap();
    switch.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let begun = Instant::now();
    while session(admin).await.query_one("SHOW ssl", &[]).await.unwrap().get::<_, &str>(0) != to {
        assert!(begun.elapsed() < Duration::from_secs(10), "TLS is not {to}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn put(data: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let (path, owner) = (data.join(name), fs::metadata(data).unwrap());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// A new CA with a key of that algorithm, and a leaf of it with its own key.
fn certificate(algorithm: &'static SignatureAlgorithm) -> (String, String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&key).unwrap();
    let issuer = Issuer::new(ca, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    (root.pem(), leaf.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_server_is_believed_only_with_its_name_and_our_ca() {
    let server = Server::start(&PKCS_ECDSA_P256_SHA256).await;
    let db = Db::connect(&server.settings(&[])).unwrap();
    let client = db.get().await.unwrap();
    let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(client.query_one(version, &[]).await.unwrap().get::<_, String>(0), "TLSv1.3");
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get::<_, i32>(0);
    drop(client);
    db.close().await;
    sleep(Duration::from_millis(100)).await;
    let log = fs::read_to_string(Path::new(&server.admin.host).join("log")).unwrap();
    let rude = format!("[{pid}] LOG:  could not receive data from client");
    assert!(!log.contains(&rude), "{log}");

    let other = server.folder.path().join("other.crt");
    let empty = server.folder.path().join("empty.crt");
    fs::write(&empty, "").unwrap();
    for (setting, value) in [
        ("CA_FILE", other.to_str().unwrap()),
        ("CA_FILE", empty.to_str().unwrap()),
        ("CA_FILE", "/does/not/exist"),
        ("PASSWORD", "wrong"),
        ("PASSWORD", ""),
        ("NAME", "nowhere"),
        ("USER", "postgres"),
    ] {
        let error = server.refused(&[(setting, value)]).await;
        // A user without a password of its own is told so no differently.
        let blamed = if setting == "USER" { "PASSWORD" } else { setting };
        let name = format!("ROADSTEAD_DATABASE__{blamed}: ");
        assert!(error.to_string().starts_with(&name), "{setting}={value}: {error}");
        assert!(error.is_unavailable());
    }
    // The right server under another name.
    let error = server.refused(&[("HOST", "127.0.0.1")]).await;
    assert!(error.to_string().starts_with("ROADSTEAD_DATABASE__CA_FILE: "), "{error}");
    assert!(error.to_string().contains("not valid for name"), "{error}");

    let no_name = server.refused(&[("HOST", "nowhere.invalid"), ("WAIT_MS", "100")]).await;
    assert!(matches!(no_name, DbError::Unavailable(_)), "{no_name}");
    // No TLS at all.
    switch_tls(&server.admin, "off").await;
    let error = server.refused(&[]).await;
    assert!(error.to_string().contains("does not support TLS"), "{error}");
}

/// Where the certificate's signature has no hash, nothing can bind the password to the connection.
#[tokio::test]
async fn a_password_is_not_given_without_channel_binding() {
    let server = Server::start(&PKCS_ED25519).await;
    let error = server.refused(&[]).await;
    assert!(error.to_string().contains("channel binding"), "{error}");
}
