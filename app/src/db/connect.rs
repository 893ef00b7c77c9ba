//! How a connection to PostgreSQL comes about: TLS and limits.

use std::{pin::Pin, sync::Arc, time::Duration};

use deadpool_postgres::Connect;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::task::JoinHandle;
use tokio_postgres::{
    NoTls, Socket,
    config::{ChannelBinding, SslMode},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{DbError, driver::Driver};
use crate::config::Database;

type Opened = (tokio_postgres::Client, JoinHandle<()>);

/// Opens connections with one set of settings.
#[derive(Clone)]
pub(super) struct Connector {
    config: tokio_postgres::Config,
    /// None on a unix socket: PostgreSQL has no TLS there.
    tls: Option<MakeRustlsConnect>,
    driver: Arc<Driver>,
}

impl Connector {
    pub fn new(settings: &Database) -> Result<Self, DbError> {
        let mut config = tokio_postgres::Config::new();
        config
            .host(&settings.host)
            .port(settings.port)
            .dbname(&settings.name)
            .user(&settings.user)
            .application_name("roadstead")
            .options(session_options(settings));
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        let tls = if settings.host.starts_with('/') {
            config.ssl_mode(SslMode::Disable);
            None
        } else {
            // With channel binding required, no server but the one of the certificate is given the
            // password in any form: else a false one could simply ask for it in clear.
            config
                .ssl_mode(SslMode::Require)
                .channel_binding(ChannelBinding::Require)
                // A peer that vanished without a word (half a minute, not two hours and more) …
                .keepalives_idle(Duration::from_secs(15))
                .keepalives_interval(Duration::from_secs(5))
                .keepalives_retries(3)
                // … and one that does not acknowledge what was sent.
                .tcp_user_timeout(Duration::from_secs(10));
            Some(MakeRustlsConnect::new(tls(settings)?))
        };
        Ok(Self { config, tls, driver: Arc::new(Driver::start()?) })
    }

    /// Only the name under which the server's lists show a connection differs.
    pub fn named(&self, purpose: &str) -> Self {
        let mut named = self.clone();
        named.config.application_name(format!("roadstead {purpose}"));
        named
    }

    pub fn driver(&self) -> Arc<Driver> {
        Arc::clone(&self.driver)
    }

    pub async fn open(&self) -> Result<Opened, tokio_postgres::Error> {
        let this = self.clone();
        let opening = self.driver.spawn(async move {
            match &this.tls {
                Some(tls) => this.open_with(tls.clone()).await,
                None => this.open_with(NoTls).await,
            }
        });
        let mut opening = AbortOnDrop(opening);
        (&mut opening.0).await.expect("the driver lives as long as we do")
    }

    async fn open_with<T: MakeTlsConnect<Socket>>(
        &self,
        tls: T,
    ) -> Result<Opened, tokio_postgres::Error>
    where
        T::Stream: Send + 'static,
    {
        let (client, connection) = self.config.connect(tls).await?;
        Ok((client, self.driver.drive(connection)))
    }
}

/// For a caller who has waited long enough.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        _: &tokio_postgres::Config,
    ) -> Pin<Box<dyn Future<Output = Result<Opened, tokio_postgres::Error>> + Send + '_>> {
        Box::pin(self.open())
    }
}

/// Sent with the start-up message, so that they hold before the first statement.
fn session_options(settings: &Database) -> String {
    [
        ("statement_timeout", settings.statement_timeout_ms.to_string()),
        // Waiting for a row that another request holds.
        ("lock_timeout", (settings.statement_timeout_ms / 3).max(1).to_string()),
        // A handler that died between two statements holds its rows no longer than this.
        ("idle_in_transaction_session_timeout", settings.statement_timeout_ms.to_string()),
        // The server ends a query whose client has gone. Without it, it would find out at the end.
        ("client_connection_check_interval", "2000".into()),
        // pg_temp last: else a temporary table could stand in for a real one.
        ("search_path", "public,pg_temp".into()),
        ("timezone", "UTC".into()),
    ]
    .map(|(name, value)| format!("-c {name}={value}"))
    .join(" ")
}

/// Trusts the one CA file and nothing else.
fn tls(settings: &Database) -> Result<ClientConfig, DbError> {
    let file = &settings.ca_file;
    let wrong = |problem: String| {
        DbError::setting("ROADSTEAD_DATABASE__CA_FILE", format!("{}: {problem}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth())
}
