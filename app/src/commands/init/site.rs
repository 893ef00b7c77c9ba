//! The site's certificate: ours, unless the operator has put one there.

use rcgen::PublicKeyData;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::{
    InitError,
    certificates::{self, Authority, Files, ORGANIZATION, first_certificate, parse},
    files::Store,
    layout::{NGINX_SITE_CA, SITE_CA, SITE_CA_KEY, SITE_CERTIFICATE, SITE_KEY},
};

/// As long as browsers take it: nothing renews it until someone starts the stack again.
const LIFE: Duration = Duration::days(397);
const SUBJECT: &str = "Roadstead local CA for ";
/// Time enough to act on a warning.
const SOON: Duration = Duration::days(21);

pub fn ensure(store: &Store<'_>, domain: &str, now: OffsetDateTime) -> Result<(), InitError> {
    let names = match domain {
        "localhost" => vec![domain, "127.0.0.1", "::1"],
        _ => vec![domain],
    };
    let files = Files { key: SITE_CA_KEY, certificate: SITE_CA };
    let ca = Authority::ensure(store, files, &format!("{SUBJECT}{domain}"), &names, now)?;
    store.copy(NGINX_SITE_CA, &ca.pem)?;

    let found = store.read(SITE_CERTIFICATE)?;
    let der = found.as_deref().and_then(first_certificate);
    if let Some(certificate) = der.as_deref().and_then(parse)
        && !is_ours(&certificate)
    {
        println!("kept {SITE_CERTIFICATE} (not issued here; remove it and {SITE_KEY} to have one)");
        let key = store.read(SITE_KEY)?;
        for problem in problems(&certificate, key.as_deref(), domain, now) {
            println!("warning: {SITE_CERTIFICATE} {problem}");
        }
        return Ok(());
    }
    let files = Files { key: SITE_KEY, certificate: SITE_CERTIFICATE };
    ca.ensure_server(store, files, &names, LIFE, now)
}

/// By name, not by signature: with the CA's key lost, what it signed is still ours to replace.
pub fn is_ours(certificate: &X509Certificate<'_>) -> bool {
    let issuer = certificate.issuer();
    let organization = issuer.iter_organization().next();
    let name = issuer.iter_common_name().next();
    organization.is_some_and(|o| o.as_str() == Ok(ORGANIZATION))
        && name.is_some_and(|n| n.as_str().is_ok_and(|n| n.starts_with(SUBJECT)))
}

/// What the operator should know about their own certificate.
pub fn problems(
    certificate: &X509Certificate<'_>,
    key: Option<&str>,
    domain: &str,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut problems = Vec::new();
    let (_, until) = certificates::validity(certificate);
    if until < now {
        problems.push(format!("expired on {}", until.date()));
    } else if until - now < SOON {
        problems.push(format!("expires soon, on {}", until.date()));
    }
    if !covers(certificate, domain) {
        problems.push(format!("does not cover {domain} (ROADSTEAD_DOMAIN)"));
    }
    match key.map(certificates::read_key) {
        None => problems.push(format!("has no key: {SITE_KEY} is missing")),
        Some(None) => problems.push(format!("was not compared: {SITE_KEY} is no key we can read")),
        Some(Some(key)) if key.subject_public_key_info() != certificate.public_key().raw => {
            problems.push(format!("does not belong to {SITE_KEY}"));
        }
        Some(Some(_)) => {}
    }
    problems
}

fn covers(certificate: &X509Certificate<'_>, domain: &str) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    names.value.general_names.iter().any(|name| match name {
        GeneralName::DNSName(name) => {
            let name = name.to_ascii_lowercase();
            // A wildcard stands for exactly one label.
            let parent = domain.split_once('.').map(|(_, parent)| parent);
            name == domain || name.strip_prefix("*.").is_some_and(|rest| parent == Some(rest))
        }
        _ => false,
    })
}
