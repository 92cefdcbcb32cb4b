//! Clients that show a certificate.

use hoist_protocol::code::Code;

use super::*;
use crate::tls::ClientKey;
use crate::tls::server::{Maker, Presented};

/// A CA of servers with a server, and a CA of its clients.
pub(super) struct Fleet {
    servers: Authority,
    pub(super) clients: Authority,
    pub(super) acceptor: Acceptor,
}

pub(super) fn fleet(min: TlsMin) -> Fleet {
    let (servers, clients) = (authority("servers"), authority("clients"));
    let (leaf, key) = servers.make(&["localhost"], YEARS);
    let identity = identity(&format!("{leaf}{}", servers.pem), &key).unwrap();
    let accepted = ClientAuthorities::new(pem("own", &clients.pem), None).unwrap();
    let acceptor = Acceptor::new(&identity, min).unwrap();
    Fleet {
        acceptor: acceptor.asking(accepted).unwrap(),
        servers,
        clients,
    }
}

fn pem<'a>(name: &'a str, text: &'a str) -> Pem<'a> {
    let text = text.as_bytes();
    Pem { name, text }
}

/// A client's certificate, as PEM, for the key of a seed.
fn certificate(ca: &Authority, name: &str, seed: &[u8; 32], years: (i32, i32)) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let key = ClientKey::Ed25519("seed", seed).key().unwrap();
    let key = KeyPair::try_from(&key).unwrap();
    params.signed_by(&key, &ca.issuer).unwrap().pem()
}

impl Fleet {
    /// A client that shows the certificate of a name.
    pub(super) fn showing(&self, ca: &Authority, name: &str, years: (i32, i32)) -> Trust {
        let shown = certificate(ca, name, &[7; 32], years);
        let key = ClientKey::Ed25519("device.key", &[7; 32]);
        let trust = trust(&self.servers.pem);
        trust.showing(pem("client.pem", &shown), key, name).unwrap()
    }

    /// What the server makes of a client, and what that hears: its own word, or an error.
    async fn hears(&self, client: &Trust) -> (Result<Option<Presented>, TlsError>, Code) {
        let (client, server) = meet(&self.acceptor, client, "localhost").await;
        let mut client = client.unwrap();
        let mut heard = [0; 7];
        match server {
            Ok(mut accepted) => {
                accepted.stream.write_all(b"welcome").await.unwrap();
                accepted.stream.flush().await.unwrap();
                client.read_exact(&mut heard).await.unwrap();
                (Ok(accepted.presented), Code::Internal)
            }
            Err(Refused::Handshake(error)) => {
                let told = client.read_exact(&mut heard).await.unwrap_err();
                (Err(error), TlsError::of(&told).unwrap().code())
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_client_is_proven_and_none_is_no_fault() {
    let fleet = fleet(TlsMin::V1_2);
    let nobody = trust(&fleet.servers.pem);
    assert_eq!(fleet.hears(&nobody).await.0.unwrap(), None);
    let pump = fleet.showing(&fleet.clients, "pump-1", YEARS);
    // The second time it is known by its session.
    for _ in 0..2 {
        let presented = fleet.hears(&pump).await.0.unwrap().unwrap();
        assert_eq!(presented.certificate.subject, "pump-1");
        assert_eq!(presented.by, Maker::Own);
        assert!(!presented.certificate.serial.is_empty());
        assert_eq!(presented.certificate.not_after, 3_786_912_000);
    }
    // Nobody who shows nothing goes on in the session of somebody who did.
    assert_eq!(fleet.hears(&nobody).await.0.unwrap(), None);
}

#[tokio::test]
async fn a_certificate_that_is_over_early_or_of_another_ca_is_refused_by_name_on_both_sides() {
    // bad-inputs row 67
    let fleet = fleet(TlsMin::V1_3);
    let foreign = authority("clients");
    for (ca, years, code, heard, says) in [
        (
            &fleet.clients,
            (2020, 2024),
            Code::CertificateExpired,
            Code::CertificateExpired,
            "certificate of pump-2 expired on 2024-01-01",
        ),
        (
            &fleet.clients,
            (2080, 2090),
            Code::CertificateNotYet,
            Code::CertificateExpired,
            "certificate of pump-2 is not valid before 2080-01-01",
        ),
        (
            &foreign,
            YEARS,
            Code::CertificateIssuer,
            Code::CertificateIssuer,
            "certificate of pump-2 was made by no CA",
        ),
    ] {
        let (refused, told) = fleet.hears(&fleet.showing(ca, "pump-2", years)).await;
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), told), (code, heard), "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_ca_that_somebody_names_is_accepted_beside_the_own_and_told_from_it() {
    let mut fleet = fleet(TlsMin::V1_3);
    let other = authority("factory");
    let own = pem("own", &fleet.clients.pem);
    let both = ClientAuthorities::new(own, Some(pem("factory.pem", &other.pem)));
    fleet.acceptor = fleet.acceptor.asking(both.unwrap()).unwrap();
    for (ca, is_own) in [(&fleet.clients, true), (&other, false)] {
        let client = fleet.showing(ca, "pump-3", YEARS);
        let presented = fleet.hears(&client).await.0.unwrap().unwrap();
        assert_eq!(presented.by == Maker::Own, is_own);
    }
    let leaf = certificate(&other, "pump-3", &[7; 32], YEARS);
    let refused = ClientAuthorities::new(own, Some(pem("leaf.pem", &leaf))).unwrap_err();
    assert_eq!(refused.code(), Code::Certificate, "{refused}");
    assert!(
        refused.to_string().contains("pump-3 in leaf.pem"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_ca_that_is_called_like_the_own_one_is_told_from_it_by_its_signature() {
    let mut fleet = fleet(TlsMin::V1_3);
    let other = authority("clients");
    let own = pem("own", &fleet.clients.pem);
    let both = ClientAuthorities::new(own, Some(pem("factory.pem", &other.pem)));
    fleet.acceptor = fleet.acceptor.asking(both.unwrap()).unwrap();
    for (ca, is_own) in [(&fleet.clients, true), (&other, false)] {
        let client = fleet.showing(ca, "pump-3", YEARS);
        // The second time it is known by its session.
        for _ in 0..2 {
            let presented = fleet.hears(&client).await.0.unwrap().unwrap();
            assert_eq!(presented.by == Maker::Own, is_own);
        }
    }
}

#[tokio::test]
async fn a_ca_that_is_taken_out_lets_nobody_in_not_even_by_a_session_that_it_let_in() {
    let mut fleet = fleet(TlsMin::V1_3);
    let (stays, goes) = (authority("stays"), authority("goes"));
    let both = format!("{}{}", stays.pem, goes.pem);
    let own = fleet.clients.pem.clone();
    let accepted = |others: &str| {
        let others = Some(pem("others.pem", others));
        ClientAuthorities::new(pem("own", &own), others).unwrap()
    };
    let ids: Vec<_> = accepted(&both).others().collect();
    fleet.acceptor = fleet.acceptor.asking(accepted(&both)).unwrap();
    let clients = [&stays, &goes].map(|ca| fleet.showing(ca, "pump-3", YEARS));
    for (client, id) in clients.iter().zip(&ids) {
        let presented = fleet.hears(client).await.0.unwrap().unwrap();
        assert_eq!(presented.by, Maker::Other(*id));
    }
    // Clones are the same door.
    let door = fleet.acceptor.clone();
    door.ask(accepted(&stays.pem)).unwrap();
    let presented = fleet.hears(&clients[0]).await.0.unwrap().unwrap();
    assert_eq!(presented.by, Maker::Other(ids[0]));
    let (refused, told) = fleet.hears(&clients[1]).await;
    let refused = refused.unwrap_err();
    let code = Code::CertificateIssuer;
    assert_eq!((refused.code(), told), (code, code), "{refused}");
}

#[tokio::test]
async fn a_ca_between_may_have_begun_after_what_it_made() {
    let mut fleet = fleet(TlsMin::V1_3);
    let factory = authority("factory");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "line 3");
    // It was made anew, for the same key.
    params.not_before = date_time_ymd(2024, 1, 1);
    let key = KeyPair::generate().unwrap();
    let between = params.signed_by(&key, &factory.issuer).unwrap().pem();
    let line = Authority {
        pem: between.clone(),
        issuer: Issuer::new(params, key),
    };
    let others = Some(pem("factory.pem", &factory.pem));
    let accepted = ClientAuthorities::new(pem("own", &fleet.clients.pem), others).unwrap();
    let id = accepted.others().next().unwrap();
    fleet.acceptor = fleet.acceptor.asking(accepted).unwrap();
    let leaf = certificate(&line, "pump-5", &[7; 32], (2020, 2090));
    let chain = format!("{leaf}{between}");
    let key = ClientKey::Ed25519("device.key", &[7; 32]);
    let trust = trust(&fleet.servers.pem);
    let client = trust.showing(pem("client.pem", &chain), key, "pump-5");
    let presented = fleet.hears(&client.unwrap()).await.0.unwrap().unwrap();
    assert_eq!(presented.by, Maker::Other(id));
}

#[test]
fn an_organization_is_no_common_name() {
    let made = |kind| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(kind, "pump-1");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        crate::tls::Certificate::read(certificate.der()).unwrap()
    };
    let named = made(DnType::CommonName);
    assert_eq!(named.common_name.as_deref(), Some("pump-1"));
    let other = made(DnType::OrganizationName);
    assert_eq!((&*other.subject, other.common_name), ("pump-1", None));
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_refused_with_both_files() {
    let ca = authority("clients");
    let shown = certificate(&ca, "pump-4", &[7; 32], YEARS);
    let showing = |seed: &[u8; 32], name: &str| {
        let key = ClientKey::Ed25519("device.key", seed);
        trust(&ca.pem).showing(pem("client.pem", &shown), key, name)
    };
    let own = showing(&[7; 32], "pump-4").unwrap();
    assert_eq!(own.shown(), Some((1_577_836_800, 3_786_912_000)));
    let refused = showing(&[7; 32], "pump-5").unwrap_err();
    assert_eq!(refused.code(), Code::CertificateName, "{refused}");
    let refused = showing(&[8; 32], "pump-4").unwrap_err();
    assert_eq!(refused.code(), Code::CertificateKey, "{refused}");
    let says = "device.key does not belong to the certificate of pump-4 in client.pem";
    assert!(refused.to_string().contains(says), "{refused}");
}
