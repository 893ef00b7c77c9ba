//! The volumes as a test sees them.

mod certificates;
mod rotate;
mod volumes;

use std::{collections::BTreeMap, fs, sync::Arc};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{layout::*, *};

/// In the order in which they are made.
const FILES: [SecretFile; 18] = [
    INTERNAL_CA_KEY,
    INTERNAL_CA,
    OWNER_DATABASE_CA,
    APP_DATABASE_CA,
    POSTGRES_KEY,
    POSTGRES_CERTIFICATE,
    SITE_CA_KEY,
    SITE_CA,
    NGINX_SITE_CA,
    SITE_KEY,
    SITE_CERTIFICATE,
    POSTGRES_OWNER_PASSWORD,
    OWNER_PASSWORD,
    POSTGRES_APP_PASSWORD,
    APP_PASSWORD,
    MASTER_KEY,
    REFRESH_KEY,
    PEPPER,
];

const KEYS: [SecretFile; 4] = [INTERNAL_CA_KEY, POSTGRES_KEY, SITE_CA_KEY, SITE_KEY];

/// Five empty volumes.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("directory"));
        for volume in VOLUMES {
            fs::create_dir(volume.path(home.0.path())).expect("volume");
        }
        home
    }

    fn made() -> Self {
        let home = Self::new();
        home.init("localhost", start()).expect("init");
        home
    }

    fn path(&self, file: SecretFile) -> PathBuf {
        file.path(self.0.path())
    }

    fn init(&self, domain: &str, now: OffsetDateTime) -> Result<(), InitError> {
        ensure(&Store::open(self.0.path(), false)?, domain, now)
    }

    fn text(&self, file: SecretFile) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn put(&self, file: SecretFile, text: &str) {
        fs::write(self.path(file), text).expect("write");
    }

    fn all(&self) -> BTreeMap<String, String> {
        FILES.map(|file| (file.to_string(), self.text(file))).into()
    }

    /// The names of the files that differ.
    fn changed_since(&self, before: &BTreeMap<String, String>) -> Vec<String> {
        let changed = self.all().into_iter().filter(|(name, text)| before[name] != *text);
        changed.map(|(name, _)| name).collect()
    }

    /// Each consumer's files fit together, and nothing else lies about.
    fn assert_whole(&self) {
        for (ca, server, host) in [
            (APP_DATABASE_CA, POSTGRES_CERTIFICATE, "postgres"),
            (NGINX_SITE_CA, SITE_CERTIFICATE, "localhost"),
        ] {
            verify(&self.text(ca), &self.text(server), host, start()).expect(host);
        }
        for (key, certificate) in [
            (INTERNAL_CA_KEY, INTERNAL_CA),
            (SITE_CA_KEY, SITE_CA),
            (POSTGRES_KEY, POSTGRES_CERTIFICATE),
            (SITE_KEY, SITE_CERTIFICATE),
        ] {
            let key = KeyPair::from_pem(&self.text(key)).expect("key");
            let der = der(&self.text(certificate));
            let (_, certificate) = X509Certificate::from_der(&der).expect("certificate");
            let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
            assert_eq!(certificate.public_key().raw, spki);
        }
        for (one, other) in [
            (INTERNAL_CA, OWNER_DATABASE_CA),
            (INTERNAL_CA, APP_DATABASE_CA),
            (SITE_CA, NGINX_SITE_CA),
            (POSTGRES_OWNER_PASSWORD, OWNER_PASSWORD),
            (POSTGRES_APP_PASSWORD, APP_PASSWORD),
        ] {
            assert_eq!(self.text(one), self.text(other));
        }
        let mut found = 0;
        for volume in VOLUMES {
            found += fs::read_dir(volume.path(self.0.path())).expect("volume").count();
        }
        assert_eq!(found, FILES.len() + 1, "the files and the lock");
    }
}

fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("2027")
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("certificate")
}

/// As the application's own connection to the database does it.
fn verify(ca: &str, chain: &str, host: &str, now: OffsetDateTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(der(ca))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("verifier");
    let host = ServerName::try_from(host.to_owned()).expect("name");
    let seconds = now.unix_timestamp().try_into().expect("after 1970");
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    verifier.verify_server_cert(&der(chain), &[], &host, &[], now).map(drop)
}

/// What someone who has stolen the CA's key could make.
fn forge(home: &Home, ca: SecretFile, key: SecretFile, names: &[&str]) -> String {
    let key = KeyPair::from_pem(&home.text(key)).expect("key");
    let issuer = Issuer::from_ca_cert_der(&der(&home.text(ca)), key).expect("issuer");
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let params = CertificateParams::new(names).expect("names");
    let leaf = KeyPair::generate().expect("key");
    params.signed_by(&leaf, &issuer).expect("leaf").pem()
}
