use std::path::Path;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::{Pem, Trust};
use hoist_protocol::codec::encode;
use hoist_protocol::enroll::EnrollAnswer;
use hoist_protocol::id::{DeviceId, Namespace};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519, date_time_ymd,
};

use super::*;
use crate::agent::config::{BOOT_ID_FILE, HostConfig, ServerConfig, Token};
use crate::agent::download::Proxies;
use crate::agent::identity::load_or_create_key;

const DAY: u64 = 24 * 3_600;
/// The start of the PKCS#8 of an Ed25519 key, before its seed.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A CA, and what it makes.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "fleet");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate of a device for the key in its state directory, valid between two years.
    fn certify(&self, device: &DeviceId, state: &Path, (from, to): (i32, i32)) -> String {
        let seed = load_or_create_key(state).unwrap().seed();
        let pkcs8 = [&PKCS8[..], &seed].concat();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, device.as_str());
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params.signed_by(&key, &self.issuer).unwrap().pem()
    }
}

/// An agent whose certificate is valid between these years, at a server that nobody is.
fn agent(dir: &Path, years: (i32, i32)) -> Agent {
    let device: DeviceId = "dev-01".parse().unwrap();
    let authority = Authority::new();
    let certificate = dir.join("client.pem");
    std::fs::write(&certificate, authority.certify(&device, dir, years)).unwrap();
    let trust = Trust::pinned(Pem {
        name: "ca",
        text: authority.pem.as_bytes(),
    });
    let host = HostConfig {
        device,
        device_type: String::new(),
        state_dir: dir.to_path_buf(),
        attributes: Vec::new(),
        environment: Vec::new(),
        reboot_command: Vec::new(),
        boot_id_file: BOOT_ID_FILE.into(),
    };
    let server = ServerConfig {
        namespace: Namespace::default(),
        broker: Endpoint::of(Scheme::Mqtts, "127.0.0.1", 1),
        token: Token(String::new()),
        certificate: Some(CertificateFiles {
            certificate,
            key: None,
        }),
        root_sha256: [0; 32],
        root_number: 1,
        artifacts: None,
        proxies: Proxies::default(),
        trust: trust.unwrap(),
        keep_alive: Duration::from_secs(60),
    };
    let mut agent = Agent::open(host, Some(server)).unwrap();
    agent.show_again();
    agent
}

#[test]
fn a_certificate_is_due_after_a_third_of_its_life_and_sixty_days_later_at_once() {
    let life = (1_000 * DAY, 1_090 * DAY);
    assert_eq!(due_in(life, 1_000 * DAY), 30 * DAY);
    assert_eq!(due_in(life, 1_029 * DAY), DAY);
    for days in [30, 60, 89, 91] {
        assert_eq!(due_in(life, (1_000 + days) * DAY), 0, "{days}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_away_with_a_due_certificate_waits_for_its_way_back_and_does_not_spin() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path(), (2_020, 2_021));
    let begun = Instant::now();
    agent.connect_at = begun + LOOK;
    agent.plan_renewal();
    // Another reason to wake comes every few seconds.
    for _ in 0..1_000 {
        agent.turn().await;
    }
    assert!(begun.elapsed() >= AGAIN, "{:?}", begun.elapsed());
    assert!(agent.renew_at.is_some_and(|at| at > Instant::now()));
}

impl Agent {
    /// Asks as if it were connected.
    fn asks_for_another(&mut self) -> [u8; 16] {
        let nonce = [7; 16];
        self.renewing = Some(nonce);
        self.renewal_asked = Some(Instant::now());
        nonce
    }

    /// The server gives it a certificate.
    fn is_given(&mut self, nonce: [u8; 16], certificate: &str) {
        let chain = hoist_net::tls::ders(Pem {
            name: "given",
            text: certificate.as_bytes(),
        });
        let result = Enrolled::Certificate(chain.unwrap());
        self.renewed(&encode(&EnrollAnswer { nonce, result }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_went_back_to_the_certificate_before_asks_once_and_shows_what_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path(), (2_020, 2_021));
    let device: DeviceId = "dev-01".parse().unwrap();
    let given = |to| Authority::new().certify(&device, dir.path(), (2_020, to));
    // It has renewed, and the server restarts: nobody is met with the renewed one.
    std::fs::write(dir.path().join("client.next.pem"), given(2_090)).unwrap();
    agent.show_again();
    agent.disconnected("nothing listens at the server's address");
    agent.show_again();
    agent.plan_renewal();
    assert!(agent.renew_at.is_some_and(|at| at <= Instant::now()));

    let nonce = agent.asks_for_another();
    agent.is_given(nonce, &given(2_091));
    let shown = agent.shown.trust().and_then(Trust::shown).unwrap();
    assert!(agent.shown.is_renewed, "the next connection shows it");
    let wait = agent.renew_at.unwrap() - Instant::now();
    assert!(wait >= AGAIN, "{wait:?}, of {shown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_clock_is_ahead_asks_no_more_than_once_an_hour_also_on_new_connections() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path(), (2_020, 2_021));
    let device: DeviceId = "dev-01".parse().unwrap();
    let nonce = agent.asks_for_another();
    agent.is_given(
        nonce,
        &Authority::new().certify(&device, dir.path(), (2_020, 2_021)),
    );
    for _ in 0..3 {
        let wait = agent.renew_at.unwrap() - Instant::now();
        assert!(wait >= AGAIN, "{wait:?}");
        agent.disconnected("the server closed the connection");
        agent.show_again();
        agent.plan_renewal();
    }
}

#[tokio::test]
async fn a_renewed_certificate_takes_the_place_of_the_other_once_a_connection_was_made_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path(), (2_020, 2_090));
    let (file, beside) = (
        dir.path().join("client.pem"),
        dir.path().join("client.next.pem"),
    );
    let before = std::fs::read(&file).unwrap();
    let ends = |agent: &mut Agent| {
        agent.show_again();
        agent.shown.trust().and_then(Trust::shown).unwrap().1
    };
    let first = ends(&mut agent);
    // Of a CA that nobody knows: whoever passes answers on has made it.
    let device = "dev-01".parse().unwrap();
    let renewed = Authority::new().certify(&device, dir.path(), (2_020, 2_091));
    std::fs::write(&beside, &renewed).unwrap();
    let second = ends(&mut agent);
    assert!(second > first);
    for shown in [first, second, first] {
        agent.disconnected("it is refused");
        assert_eq!(ends(&mut agent), shown, "one after the other");
    }
    agent.certificate_is_good();
    assert_eq!(std::fs::read(&file).unwrap(), before);
    agent.disconnected("it is refused");
    assert_eq!(ends(&mut agent), second);
    agent.certificate_is_good();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), renewed);
    assert!(!beside.exists());
    assert_eq!(ends(&mut agent), second);
}
