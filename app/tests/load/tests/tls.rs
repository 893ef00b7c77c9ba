//! TLS: the right certificate, the right protocol, or none at all.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::server::{Server, created};
use super::{plan, run};
use crate::engine::{Plan, Protocol, Route, Target};

struct Site {
    server: Server,
    certificate: tempfile::NamedTempFile,
}

fn site(offers: &'static [u8]) -> Site {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["example.test".to_owned()]).expect("a certificate");
    let certificate = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(certificate.path(), cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_no_client_auth()
    .with_single_cert(vec![cert.der().clone()], key)
    .expect("they fit");
    config.alpn_protocols = vec![offers.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::script(move |peer, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(peer) = peer.accept(acceptor).await else {
                return;
            };
            match peer.stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => peer.http2(100, |body| async { created(body) }).await,
                _ => peer.echo().await,
            }
        }
    });
    Site { server, certificate }
}

fn plan_for(site: &Site, url: &str, protocol: Protocol) -> Plan {
    let path = site.server.path();
    let route = Route { unix: Some(&path), ca: Some(site.certificate.path()), ..Route::default() };
    let target = Target::new(&url.parse().expect("a URL"), &route, protocol).expect("a target");
    Plan { target, protocol, ..plan(&site.server, &["POST / {n}"]) }
}

#[test]
fn speaks_each_protocol_over_tls() {
    for (offers, protocol) in [
        (&b"http/1.1"[..], Protocol::Http1),
        (b"http/1.1", Protocol::Http1Close),
        (b"h2", Protocol::Http2),
    ] {
        let site = site(offers);
        let run = run(Plan { connections: 2, ..plan_for(&site, "https://example.test", protocol) });
        assert_eq!((run.report.ok, site.server.bodies().len()), (20, 20), "{protocol:?}");
    }
}

#[test]
fn refuses_another_name_another_ca_and_another_protocol() {
    let here = site(b"http/1.1");
    let name = run(plan_for(&here, "https://other.test", Protocol::Http1));
    let protocol = run(plan_for(&here, "https://example.test", Protocol::Http2));
    let there = Site { certificate: site(b"h2").certificate, server: here.server };
    let authority = run(plan_for(&there, "https://example.test", Protocol::Http1));
    for run in [name, protocol, authority] {
        assert_eq!(run.count("tls"), 20, "{:?}", run.report.first_failures);
    }
}
