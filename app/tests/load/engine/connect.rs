//! Connections: TCP or a unix socket, with or without TLS.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hyper::Uri;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::{Class, Fault};
use super::plan::Protocol;

/// Where the CA certificates of the system are on Debian.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

pub struct Target {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// What stands in `Host` and `:authority`.
    pub authority: String,
    /// Connections so far.
    pub opened: AtomicU64,
}

enum Address {
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// How to reach what a URL names, where that differs from what the URL says.
#[derive(Default)]
pub struct Route<'a> {
    pub unix: Option<&'a Path>,
    /// `HOST:PORT` to connect to; name and certificate stay the URL's.
    pub connect: Option<&'a str>,
    pub ca: Option<&'a Path>,
    /// Never resume a TLS session.
    pub full_handshakes: bool,
}

impl Target {
    pub fn new(url: &Uri, route: &Route<'_>, protocol: Protocol) -> Result<Self, String> {
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => {
                return Err(format!("{url} starts neither with http:// nor with https://"));
            }
        };
        let authority = url.authority().ok_or_else(|| format!("{url} names no host"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = match (route.unix, route.connect) {
            (Some(path), _) => Address::Unix(path.to_owned()),
            (None, Some(other)) => Address::Tcp(resolve(other, other.to_socket_addrs())?),
            (None, None) => Address::Tcp(resolve(host, (host, port).to_socket_addrs())?),
        };
        let tls = match is_tls {
            true => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| format!("{host}: {error}"))?;
                Some((connector(route, protocol)?, name))
            }
            false => None,
        };
        Ok(Self { address, tls, authority: authority.to_string(), opened: AtomicU64::new(0) })
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub async fn connect(&self) -> Result<Box<dyn Io>, Fault> {
        let connection = self.connect_any().await?;
        self.opened.fetch_add(1, Relaxed);
        Ok(connection)
    }

    async fn connect_any(&self) -> Result<Box<dyn Io>, Fault> {
        let plain = self.reach().await.map_err(|error| match error.raw_os_error() {
            Some(number) if is_ours(number) => Fault::new(Class::Client, error),
            _ => Fault::new(Class::Connect, error),
        })?;
        let Some((connector, name)) = &self.tls else {
            return Ok(plain);
        };
        let tls = connector
            .connect(name.clone(), plain)
            .await
            .map_err(|error| Fault::new(Class::Tls, error))?;
        Ok(Box::new(tls))
    }

    async fn reach(&self) -> io::Result<Box<dyn Io>> {
        let addresses = match &self.address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp(addresses) => addresses,
        };
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Box::new(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Errors of this machine, not of the server: too many open files, no local port left.
fn is_ours(error: i32) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|ours| ours.raw_os_error() == error)
}

/// IPv4 first: a published port may listen there only, and each connection would fail on `::1`
/// before.
fn resolve(
    name: &str,
    found: io::Result<impl Iterator<Item = SocketAddr>>,
) -> Result<Vec<SocketAddr>, String> {
    let mut addresses: Vec<_> = found.map_err(|error| format!("{name}: {error}"))?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

fn connector(route: &Route<'_>, protocol: Protocol) -> Result<TlsConnector, String> {
    let file = route.ca.unwrap_or(Path::new(SYSTEM_CA));
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| said(&e))? {
        roots.add(certificate.map_err(|e| said(&e))?).map_err(|e| said(&e))?;
    }
    if roots.is_empty() {
        return Err(said(&"holds no certificate"));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let offered: &[u8] = if protocol == Protocol::Http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![offered.to_vec()];
    if route.full_handshakes {
        config.resumption = Resumption::disabled();
    }
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection of any kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin {
    /// Asks the kernel itself: the runtime may not have heard yet that the other side closed.
    fn idle(&self) -> Idle;

    fn is_tls(&self) -> bool {
        false
    }

    fn speaks_h2(&self) -> bool {
        true
    }
}

/// What is to be read on a connection on which nothing is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    Silent,
    Bytes,
    Closed,
}

impl Io for TcpStream {
    fn idle(&self) -> Idle {
        peek(self)
    }
}

impl Io for UnixStream {
    fn idle(&self) -> Idle {
        peek(self)
    }
}

impl Io for TlsStream<Box<dyn Io>> {
    /// Bytes may be session tickets that come late: only reading them tells.
    fn idle(&self) -> Idle {
        self.get_ref().0.idle()
    }

    fn is_tls(&self) -> bool {
        true
    }

    fn speaks_h2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

fn peek(socket: impl AsFd) -> Idle {
    match rustix::net::recv(socket, &mut [0u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Idle::Closed,
        Ok(_) => Idle::Bytes,
        Err(Errno::WOULDBLOCK) => Idle::Silent,
        Err(_) => Idle::Closed,
    }
}
