//! Both sides of a handshake, with certificates of every kind.

use std::time::{Duration, SystemTime};

use hoist_protocol::code::Code;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::{
    ALERT, Accepted, Acceptor, ClientAuthorities, Identity, Refused, TlsMin, say_last,
};
use super::{Pem, Time, TlsError, Trust};
use crate::endpoint::{Endpoint, Scheme};
use crate::stream::{Stream, Unreached, connect};

mod bytes;
mod clients;

/// A CA, and what it makes.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    Authority { pem, issuer }
}

/// The years in which a certificate is valid.
const YEARS: (i32, i32) = (2020, 2090);

impl Authority {
    /// A certificate for these hosts, and its key.
    fn make(&self, hosts: &[&str], (from, to): (i32, i32)) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, "pump");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        (made.pem(), key.serialize_pem())
    }
}

/// In the year 2026.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

fn identity(chain: &str, key: &str) -> Result<Identity, TlsError> {
    let pem = |name, text: &'static str| Pem {
        name,
        text: text.as_bytes(),
    };
    let leaked = |text: &str| -> &'static str { String::from(text).leak() };
    Identity::read(
        pem("server.pem", leaked(chain)),
        pem("server.key", leaked(key)),
        now(),
    )
}

fn trust(ca: &str) -> Trust {
    let text = ca.as_bytes();
    Trust::pinned(Pem { name: "ca", text }).unwrap()
}

/// The two ends of a connection: what the client got, and the server.
async fn meet(
    acceptor: &Acceptor,
    trust: &Trust,
    host: &str,
) -> (Result<Box<dyn Stream>, TlsError>, Result<Accepted, Refused>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let at = Endpoint::of(Scheme::Mqtts, host, port);
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await
    };
    let (client, server) = tokio::join!(connect(&at, trust), accepting);
    let client = client.map_err(|error| match error {
        Unreached::Tls(error) => error,
        other => panic!("{other:?}"),
    });
    (client, server)
}

/// The code and the sentence of a handshake that fails at the client.
async fn refused(chain: &str, key: &str, trust: &Trust, host: &str) -> (Code, String) {
    let acceptor = Acceptor::new(&identity(chain, key).unwrap(), TlsMin::V1_3).unwrap();
    let error = meet(&acceptor, trust, host).await.0.err().unwrap();
    (error.code(), error.to_string())
}

#[tokio::test]
async fn both_sides_hear_each_other_and_a_second_meeting_is_shorter() {
    let ca = authority("fleet");
    let (leaf, key) = ca.make(&["localhost", "127.0.0.1"], YEARS);
    let chain = format!("{leaf}{}", ca.pem).replace('\n', "\r\n");
    let identity = identity(&chain, &key.replace('\n', "\r\n")).unwrap();
    assert_eq!(identity.anchor_pem(), ca.pem.replace("\r\n", "\n"));
    let acceptor = Acceptor::new(&identity, TlsMin::V1_3).unwrap();
    let trust = trust(&ca.pem.replace('\n', "\r\n"));
    for host in ["localhost", "127.0.0.1"] {
        let (client, server) = meet(&acceptor, &trust, host).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap().stream);
        server.write_all(b"welcome").await.unwrap();
        server.flush().await.unwrap();
        let mut heard = [0; 7];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"welcome");
    }
}

#[tokio::test]
async fn another_certificate_is_shown_from_now_on_and_who_is_there_stays() {
    let (old, new) = (authority("old"), authority("new"));
    let of = |ca: &Authority| {
        let (leaf, key) = ca.make(&["localhost"], YEARS);
        identity(&format!("{leaf}{}", ca.pem), &key).unwrap()
    };
    let acceptor = Acceptor::new(&of(&old), TlsMin::V1_3).unwrap();
    let trusts_old = trust(&old.pem);
    let (client, server) = meet(&acceptor, &trusts_old, "localhost").await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap().stream);
    acceptor.show(&of(&new));
    let trusts_new = trust(&new.pem);
    assert!(meet(&acceptor, &trusts_new, "localhost").await.0.is_ok());
    client.write_all(b"still here").await.unwrap();
    client.flush().await.unwrap();
    let mut heard = [0; 10];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn a_client_that_may_not_believe_a_certificate_says_which_and_what_to_do() {
    // bad-inputs row 67
    let ca = authority("fleet");
    let trusted = trust(&ca.pem);
    let (leaf, key) = ca.make(&["fleet.example"], YEARS);
    let chain = format!("{leaf}{}", ca.pem);
    let (code, said) = refused(&chain, &key, &trusted, "localhost").await;
    assert_eq!(code, Code::CertificateName, "{said}");
    assert!(
        said.contains("is for fleet.example, not for localhost"),
        "{said}"
    );
    assert!(said.contains("in the list of --name"), "{said}");

    let (leaf, key) = ca.make(&["localhost"], YEARS);
    let chain = format!("{leaf}{}", ca.pem);
    // Of the same name, and another.
    for other in [authority("fleet"), authority("others")] {
        let (code, said) = refused(&chain, &key, &trust(&other.pem), "localhost").await;
        assert_eq!(code, Code::CertificateIssuer, "{said}");
        assert!(said.contains("`ca`"), "{said}");
    }
    let (code, said) = refused(&chain, &key, &Trust::default(), "localhost").await;
    assert_eq!(code, Code::CertificateIssuer, "{said}");

    let (late, key) = ca.make(&["localhost"], (2020, 2089));
    let chain = format!("{late}{}", ca.pem);
    let in_2090 = trust(&ca.pem);
    in_2090.set_time(Time::Known(3_800_000_000));
    let (code, said) = refused(&chain, &key, &in_2090, "localhost").await;
    assert_eq!(code, Code::CertificateExpired, "{said}");
    assert!(said.contains("expired on 2089-01-01"), "{said}");
}

#[tokio::test]
async fn a_device_without_a_clock_takes_no_certificate_for_one_of_the_future() {
    // bad-inputs row 40
    let ca = authority("fleet");
    let judged = |time| {
        let trusted = trust(&ca.pem);
        trusted.set_time(time);
        trusted
    };
    let (leaf, key) = ca.make(&["localhost"], (2020, 2089));
    let chain = format!("{leaf}{}", ca.pem);
    let (code, said) = refused(&chain, &key, &judged(Time::Known(0)), "localhost").await;
    assert_eq!(code, Code::CertificateNotYet, "{said}");
    let acceptor = Acceptor::new(&identity(&chain, &key).unwrap(), TlsMin::V1_3).unwrap();
    let without_clock = judged(Time::AtLeast(0));
    assert!(meet(&acceptor, &without_clock, "localhost").await.0.is_ok());
    let over = judged(Time::AtLeast(3_800_000_000));
    let (code, said) = refused(&chain, &key, &over, "localhost").await;
    assert_eq!(code, Code::CertificateExpired, "{said}");
}

/// A chain, a key, and the code and a part of the sentence that they are refused with.
type Case<'a> = (&'a str, &'a str, Code, &'a str);

fn are_refused(cases: &[Case<'_>]) {
    for (chain, key, code, says) in cases {
        let error = identity(chain, key).unwrap_err();
        assert_eq!(error.code(), *code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_certificate_that_is_over_early_or_of_another_key_is_refused_with_file_subject_and_date() {
    let ca = authority("fleet");
    let chain = |leaf: &str| format!("{leaf}{}", ca.pem);
    let (leaf, key) = ca.make(&["localhost"], YEARS);
    let (over, over_key) = ca.make(&["localhost"], (2020, 2024));
    let (early, early_key) = ca.make(&["localhost"], (2080, 2090));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let expired = "certificate of pump in server.pem expired on 2024-01-01";
    let other = "server.key does not belong to the certificate of pump in server.pem";
    let key_code = Code::CertificateKey;
    are_refused(&[
        (&chain(&over), &over_key, Code::CertificateExpired, expired),
        (
            &chain(&early),
            &early_key,
            Code::CertificateNotYet,
            "before 2080-01-01",
        ),
        (&chain(&leaf), &over_key, key_code, other),
        (
            &chain(&leaf),
            &encrypted,
            key_code,
            "server.key is encrypted",
        ),
        (&chain(&leaf), "", key_code, "no private key in server.key"),
    ]);
}

#[test]
fn a_chain_that_is_none_or_not_in_order_is_refused_with_what_is_wrong() {
    let ca = authority("fleet");
    let (leaf, key) = ca.make(&["localhost"], YEARS);
    let own_key = ca.issuer.key().serialize_pem();
    let order = "wrong order: that of fleet was made by fleet, and the next is that of pump";
    let missing = "that of fleet, by which it was signed, is missing";
    let code = Code::Certificate;
    are_refused(&[
        (&format!("{}{leaf}", ca.pem), &key, code, order),
        (&leaf, &key, code, missing),
        (&ca.pem, &own_key, code, "is one of a CA"),
        ("nothing", &key, code, "no certificate in server.pem"),
        (&leaf[..leaf.len() / 2], &key, code, "server.pem is damaged"),
    ]);
}

#[tokio::test]
async fn whoever_speaks_something_else_is_told_so_on_both_sides() {
    let ca = authority("fleet");
    let (leaf, key) = ca.make(&["localhost"], YEARS);
    let acceptor = identity(&format!("{leaf}{}", ca.pem), &key).unwrap();
    let acceptor = Acceptor::new(&acceptor, TlsMin::V1_3).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A client without TLS.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"\x10\x0c\x00\x04MQTT").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let Err(Refused::Plain(stream)) = acceptor.accept(stream).await else {
        panic!("it was taken for TLS");
    };
    say_last(stream, &ALERT).await;
    let mut heard = Vec::new();
    let _reset = plain.read_to_end(&mut heard).await;
    assert!(heard.is_empty() || TlsError::is_alert(&heard), "{heard:?}");
    // A server without TLS.
    let at = Endpoint::of(Scheme::Https, "localhost", address.port());
    let answering = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        say_last(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let trust = trust(&ca.pem);
    let (client, ()) = tokio::join!(connect(&at, &trust), answering);
    let Err(Unreached::Tls(error)) = client else {
        panic!("it was taken for TLS");
    };
    assert_eq!(error.code(), Code::Tls, "{error}");
}

#[test]
fn a_certificate_that_another_ca_of_the_same_name_signed_is_not_shown() {
    let (ours, theirs) = (authority("Hoist CA"), authority("Hoist CA"));
    let (certificate, key) = ours.make(&["localhost"], YEARS);
    let chain = |root: &str| format!("{certificate}{root}");
    assert!(identity(&chain(&ours.pem), &key).is_ok());
    let refused = identity(&chain(&theirs.pem), &key).unwrap_err();
    assert_eq!(refused.code(), Code::CertificateIssuer, "{refused}");
}
