use base64::{Engine, prelude::BASE64_STANDARD};
use x509_parser::prelude::GeneralName;

use super::{
    super::{certificates::validity, site::problems},
    *,
};

#[test]
fn a_new_domain_gets_new_certificates_of_the_same_keys() {
    let home = Home::made();
    let before = home.all();
    home.init("example.org", start()).expect("again");
    let site = [SITE_CA, NGINX_SITE_CA, SITE_CERTIFICATE];
    let mut expected = site.map(|file| file.to_string());
    expected.sort();
    assert_eq!(home.changed_since(&before), expected);
    verify(&home.text(SITE_CA), &home.text(SITE_CERTIFICATE), "example.org", start()).expect("new");
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
    let home = Home::made();
    let before = home.all();
    let later = |days| start() + Duration::days(days);
    home.init("localhost", later(264)).expect("early");
    assert!(home.changed_since(&before).is_empty());
    home.init("localhost", later(265)).expect("due");
    assert_eq!(home.changed_since(&before), [SITE_CERTIFICATE.to_string()]);
    let serial = |pem: &str| {
        let der = der(pem);
        let (_, certificate) = X509Certificate::from_der(&der).expect("certificate");
        certificate.raw_serial_as_string()
    };
    let old = serial(&before[&SITE_CERTIFICATE.to_string()]);
    assert_ne!(serial(&home.text(SITE_CERTIFICATE)), old);

    // The CA's own time comes: whoever trusts the old certificate takes the new leaf too.
    let old_ca = home.text(NGINX_SITE_CA);
    home.init("localhost", later(14 * 365)).expect("the CAs are due");
    assert_ne!(home.text(NGINX_SITE_CA), old_ca);
    let leaf = home.text(SITE_CERTIFICATE);
    verify(&old_ca, &leaf, "localhost", later(14 * 365)).expect("old CA");
    for key in KEYS {
        assert_eq!(home.text(key), before[&key.to_string()]);
    }
    // A clock that was set back makes a certificate of the future useless.
    home.init("localhost", start()).expect("back");
    home.assert_whole();
}

#[test]
fn a_certificate_that_does_not_fit_is_issued_again() {
    let home = Home::made();
    let other = KeyPair::generate().expect("key").serialize_pem();
    for key in KEYS {
        home.put(key, &other);
        home.init("localhost", start()).expect("again");
        home.assert_whole();
        assert_eq!(home.text(key), other);
    }
    let whole = home.text(POSTGRES_CERTIFICATE);
    let leaf = &whole[..whole.len() - home.text(INTERNAL_CA).len()];
    let mut signature = der(leaf).to_vec();
    *signature.last_mut().expect("bytes") ^= 1;
    let trailing = [&*der(leaf), b"more"].concat();
    let with_chain = |der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let ca = home.text(INTERNAL_CA);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n{ca}")
    };
    let damages = ["garbage", leaf, &with_chain(&signature), &with_chain(&trailing)];
    for damage in damages {
        home.put(POSTGRES_CERTIFICATE, damage);
        home.init("localhost", start()).expect("again");
        assert_ne!(home.text(POSTGRES_CERTIFICATE), damage);
        home.assert_whole();
    }
}

#[test]
fn the_site_ca_can_speak_for_the_site_only() {
    for (domain, good, bad) in [
        (
            "localhost",
            vec!["localhost", "127.0.0.1", "::1"],
            vec!["example.org", "127.0.0.2", "10.0.0.1", "::2"],
        ),
        (
            "example.org",
            vec!["example.org", "www.example.org"],
            vec!["localhost", "example.com", "notexample.org", "127.0.0.1", "::1"],
        ),
    ] {
        let home = Home::new();
        home.init(domain, start()).expect("init");
        let ca = home.text(SITE_CA);
        for name in &good {
            let leaf = forge(&home, SITE_CA, SITE_CA_KEY, &[name]);
            verify(&ca, &leaf, name, start()).expect(name);
        }
        for name in &bad {
            let alone = forge(&home, SITE_CA, SITE_CA_KEY, &[name]);
            verify(&ca, &alone, name, start()).expect_err(name);
            let beside = forge(&home, SITE_CA, SITE_CA_KEY, &[domain, name]);
            verify(&ca, &beside, domain, start()).expect_err(name);
        }
    }
}

#[test]
fn the_internal_ca_can_speak_for_the_database_only() {
    let home = Home::made();
    for (name, good) in [("postgres", true), ("localhost", true), ("example.org", false)] {
        let leaf = forge(&home, INTERNAL_CA, INTERNAL_CA_KEY, &[name]);
        let verified = verify(&home.text(INTERNAL_CA), &leaf, name, start());
        assert_eq!(verified.is_ok(), good, "{name}");
    }
}

#[test]
fn the_cas_and_their_certificates_say_what_they_are_for() {
    let home = Home::made();
    let ca = der(&home.text(SITE_CA));
    let (_, ca) = X509Certificate::from_der(&ca).expect("certificate");
    let subject = ca.subject().to_string();
    assert!(subject.starts_with("O=Roadstead, CN=Roadstead local CA for localhost, OU=key "));
    let basic = ca.basic_constraints().expect("valid").expect("there");
    assert!(basic.critical && basic.value.ca);
    assert_eq!(basic.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().expect("valid").expect("there");
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 0b110_0000, "signs certificates and revocation lists");
    let constraints = ca.name_constraints().expect("valid").expect("there");
    assert!(constraints.critical);

    let der = der(&home.text(SITE_CERTIFICATE));
    let (_, leaf) = X509Certificate::from_der(&der).expect("certificate");
    let names = leaf.subject_alternative_name().expect("valid").expect("there");
    let [GeneralName::DNSName("localhost"), GeneralName::IPAddress(v4), GeneralName::IPAddress(v6)] =
        names.value.general_names.as_slice()
    else {
        panic!("{names:?}");
    };
    assert_eq!((v4.len(), v6.len()), (4, 16));
    let usage = leaf.extended_key_usage().expect("valid").expect("there");
    assert!(usage.value.server_auth && !usage.value.client_auth && !usage.value.any);
    let (from, until) = validity(&leaf);
    assert!(until - from <= Duration::days(397));
    let text = home.text(SITE_CERTIFICATE);
    assert!(text.ends_with(&home.text(SITE_CA)), "leaf, then CA");
}

#[test]
fn a_domain_longer_than_a_common_name_works() {
    let label = "a".repeat(60);
    let domain = [label.as_str(); 4].join(".");
    let home = Home::new();
    for _ in 0..2 {
        home.init(&domain, start()).expect("init");
        verify(&home.text(SITE_CA), &home.text(SITE_CERTIFICATE), &domain, start()).expect("long");
    }
}

#[test]
fn an_operators_own_certificate_stays() {
    let home = Home::made();
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec!["example.org".into()]).expect("names");
    params.not_before = start() - Duration::days(100);
    params.not_after = start() + Duration::days(5);
    let own = params.self_signed(&key).expect("certificate").pem();
    for site_key in [key.serialize_pem(), "unreadable".into(), String::new()] {
        home.put(SITE_CERTIFICATE, &own);
        home.put(SITE_KEY, &site_key);
        // Neither an unfit domain nor its end makes it ours.
        for (domain, days) in [("example.org", 0), ("example.com", 0), ("example.org", 9)] {
            home.init(domain, start() + Duration::days(days)).expect("init");
            assert_eq!(home.text(SITE_CERTIFICATE), own);
            assert_eq!(home.text(SITE_KEY), site_key);
        }
    }
    // One that our CA of a lost key has signed is not the operator's.
    let other = Home::made();
    home.put(SITE_CERTIFICATE, &other.text(SITE_CERTIFICATE));
    home.put(SITE_KEY, &other.text(SITE_KEY));
    home.init("localhost", start()).expect("init");
    home.assert_whole();
}

#[test]
fn an_operator_hears_what_is_wrong_with_their_certificate() {
    let key = KeyPair::generate().expect("key");
    let names = ["*.example.org", "Other.example"].map(String::from);
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = start();
    params.not_after = start() + Duration::days(90);
    let der = params.self_signed(&key).expect("certificate").der().clone();
    let (_, certificate) = X509Certificate::from_der(&der).expect("certificate");
    let key = key.serialize_pem();
    let other = KeyPair::generate().expect("key").serialize_pem();

    for (key, domain, days, expected) in [
        (Some(key.as_str()), "www.example.org", 0, ""),
        (Some(&key), "other.example", 0, ""),
        (Some(&key), "example.org", 0, "does not cover example.org"),
        (Some(&key), "a.b.example.org", 0, "does not cover a.b.example.org"),
        (Some(&key), "other.example", 80, "expires soon"),
        (Some(&key), "other.example", 91, "expired on"),
        (Some(&other), "other.example", 0, "does not belong to nginx-secrets/site.key"),
        (Some("garbage"), "other.example", 0, "was not compared"),
        (None, "other.example", 0, "has no key"),
    ] {
        let found = problems(&certificate, key, domain, start() + Duration::days(days)).join("\n");
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(found.is_empty(), expected.is_empty(), "{found}");
    }
}
