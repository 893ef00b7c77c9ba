//! Keys, CAs that can speak for a few names only, and the certificates they sign.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use super::{InitError, files::Store, layout::SecretFile};

/// People trust a CA by hand, so it should last longer than the machine.
const AUTHORITY_LIFE: Duration = Duration::days(20 * 365);
/// Clients whose clock is a little behind take the certificate too.
const BACKDATED: Duration = Duration::hours(1);
/// A common name holds no more (RFC 5280, appendix A.1).
const SUBJECT_LENGTH: usize = 64;

pub const ORGANIZATION: &str = "Roadstead";

/// Where one certificate and its key are kept.
#[derive(Clone, Copy)]
pub struct Files {
    pub key: SecretFile,
    pub certificate: SecretFile,
}

/// A CA and its self-signed certificate.
pub struct Authority {
    key: KeyPair,
    params: CertificateParams,
    pub pem: String,
}

impl Authority {
    /// A CA that can only speak for `names` (and for hosts below them: RFC 5280 has no narrower rule).
    pub fn ensure(
        store: &Store<'_>,
        files: Files,
        subject: &str,
        names: &[&str],
        now: OffsetDateTime,
    ) -> Result<Self, InitError> {
        let key = key(store, files.key)?;
        let mut params = params(subject, &[])?;
        params.distinguished_name.push(DnType::OrganizationalUnitName, key_name(&key));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(constraints(&general_names(names)?));
        let issuer = Issuer::from_params(&params, &key);
        let order = Order {
            file: files.certificate,
            params: &params,
            life: AUTHORITY_LIFE,
            key: &key,
            issuer,
            chain: "",
        };
        let pem = order.ensure(store, now)?;
        Ok(Self { key, params, pem })
    }

    /// A server's certificate for `names`, followed by the CA's.
    pub fn ensure_server(
        &self,
        store: &Store<'_>,
        files: Files,
        names: &[&str],
        life: Duration,
        now: OffsetDateTime,
    ) -> Result<(), InitError> {
        let key = key(store, files.key)?;
        let mut params = params(names[0], names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let order = Order {
            file: files.certificate,
            params: &params,
            life,
            key: &key,
            issuer: Issuer::from_params(&self.params, &self.key),
            chain: &self.pem,
        };
        order.ensure(store, now).map(drop)
    }
}

/// What a certificate must say.
struct Order<'a> {
    file: SecretFile,
    /// All but serial number and dates.
    params: &'a CertificateParams,
    life: Duration,
    key: &'a KeyPair,
    issuer: Issuer<'a, &'a KeyPair>,
    /// What follows the certificate in its file.
    chain: &'a str,
}

impl Order<'_> {
    fn ensure(&self, store: &Store<'_>, now: OffsetDateTime) -> Result<String, InitError> {
        let file = self.file;
        let flaw = match store.read(file)? {
            None => "new",
            Some(pem) => match self.flaw(&pem, now) {
                None => {
                    println!("kept {file}");
                    return Ok(pem);
                }
                Some(flaw) => flaw,
            },
        };
        let until = now - BACKDATED + self.life;
        let pem = self.issue(now)?;
        store.write(file, &pem)?;
        println!("made {file} ({flaw}; valid until {})", until.date());
        Ok(pem)
    }

    fn issue(&self, now: OffsetDateTime) -> Result<String, InitError> {
        let mut params = self.params.clone();
        params.serial_number = Some(serial_number()?);
        params.not_before = now - BACKDATED;
        params.not_after = params.not_before + self.life;
        let certificate = params.signed_by(self.key, &self.issuer)?;
        Ok(certificate.pem() + self.chain)
    }

    /// Why the certificate at hand does not do.
    fn flaw(&self, pem: &str, now: OffsetDateTime) -> Option<&'static str> {
        let der = first_certificate(pem);
        let Some(old) = der.as_deref().and_then(parse) else {
            return Some("the old one was unreadable");
        };
        // Issue it again with its own number and dates: all the rest (names, key, issuer,
        // constraints, usages) must come out the same to the byte.
        let (from, until) = validity(&old);
        let mut params = self.params.clone();
        params.serial_number = Some(SerialNumber::from(old.serial.to_bytes_be()));
        params.not_before = from;
        params.not_after = until;
        let new = params.signed_by(self.key, &self.issuer).ok();
        let new = new.as_ref().and_then(|new| parse(new.der()));
        let same =
            new.is_some_and(|new| new.tbs_certificate.as_ref() == old.tbs_certificate.as_ref());
        if !same || !is_signed_by(&old, self.issuer.key()) || !pem.ends_with(self.chain) {
            Some("what it has to say changed")
        } else if now < from || until - now <= (until - from) / 3 {
            Some("less than a third of its life was left")
        } else {
            None
        }
    }
}

/// The key in `file`, made when there is none.
fn key(store: &Store<'_>, file: SecretFile) -> Result<KeyPair, InitError> {
    if let Some(pem) = store.read(file)? {
        let key = read_key(&pem).ok_or(InitError::Key(file))?;
        println!("kept {file}");
        return Ok(key);
    }
    let key = KeyPair::generate()?;
    store.write(file, &key.serialize_pem())?;
    println!("made {file}");
    Ok(key)
}

pub fn read_key(pem: &str) -> Option<KeyPair> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    KeyPair::try_from(&der).ok()
}

pub fn first_certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

pub fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok((rest, certificate)) => rest.is_empty().then_some(certificate),
        Err(_) => None,
    }
}

pub fn validity(certificate: &X509Certificate<'_>) -> (OffsetDateTime, OffsetDateTime) {
    let dates = certificate.validity();
    (dates.not_before.to_datetime(), dates.not_after.to_datetime())
}

fn is_signed_by(certificate: &X509Certificate<'_>, issuer: &KeyPair) -> bool {
    let public_key = issuer.subject_public_key_info();
    SubjectPublicKeyInfo::from_der(&public_key)
        .is_ok_and(|(_, key)| certificate.verify_signature(Some(&key)).is_ok())
}

fn params(subject: &str, names: &[&str]) -> Result<CertificateParams, InitError> {
    let mut params = CertificateParams::default();
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANIZATION);
    let subject: String = subject.chars().take(SUBJECT_LENGTH).collect();
    name.push(DnType::CommonName, subject);
    params.distinguished_name = name;
    params.subject_alt_names = general_names(names)?;
    // On a CA it binds what it signs: no mail, no code.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn general_names(names: &[&str]) -> Result<Vec<SanType>, InitError> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Ok(CertificateParams::new(names)?.subject_alt_names)
}

/// Of each kind of name, host and address, either some are permitted or all are excluded:
/// a kind that the constraints do not mention would be free.
fn constraints(names: &[SanType]) -> NameConstraints {
    let mut permitted_subtrees = Vec::new();
    let mut excluded_subtrees = Vec::new();
    for name in names {
        permitted_subtrees.push(match name {
            SanType::IpAddress(address) => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, bits))
            }
            SanType::DnsName(host) => GeneralSubtree::DnsName(host.to_string()),
            _ => unreachable!("general_names makes hosts and addresses"),
        });
    }
    if !names.iter().any(|name| matches!(name, SanType::IpAddress(_))) {
        let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        excluded_subtrees.extend(
            all.map(|address| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 0))),
        );
    }
    NameConstraints { permitted_subtrees, excluded_subtrees }
}

/// Tells two CAs of one name apart, in a list of trusted ones and when a chain is looked for.
fn key_name(key: &KeyPair) -> String {
    let hash = digest::digest(&digest::SHA256, &key.subject_public_key_info());
    let short: String = hash.as_ref()[..4].iter().map(|b| format!("{b:02x}")).collect();
    format!("key {short}")
}

/// Never twice the same: a browser refuses two certificates of one issuer with one number.
fn serial_number() -> Result<SerialNumber, InitError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| InitError::Random)?;
    // Positive, and no zero in front: one encoding only.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from(bytes.to_vec()))
}
