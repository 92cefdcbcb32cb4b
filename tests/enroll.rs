//! A device is let in by a certificate, and gets one by one short text.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::server::Server;
use crate::harness::{eventually, write_private};

/// A CA of devices that somebody else runs.
struct Factory {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Factory {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "factory");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate of a device, valid until the end of a year, and its key, as PEM.
    fn make(&self, device: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, device);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        (made.pem(), key.serialize_pem())
    }
}

/// A server that accepts the certificates of a factory.
fn server_of(factory: &Factory) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("factory.pem");
    std::fs::write(&ca, &factory.pem).unwrap();
    let more = ["--name", "127.0.0.1", "--client-ca", ca.to_str().unwrap()];
    Server::start_at(None, dir, &more, &[])
}

/// The configuration of a registered device that shows a certificate and has no token.
fn with_certificate(server: &Server, device: &str, (chain, key): (&str, &str)) -> PathBuf {
    let config = server.add_device(device, &[]);
    let [chain_file, key_file] = ["crt", "key"].map(|end| config.with_extension(end));
    std::fs::write(&chain_file, chain).unwrap();
    write_private(&key_file, key);
    let text = std::fs::read_to_string(&config).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let mut table: toml::Table = table
        .into_iter()
        .filter(|(key, _)| key != "token")
        .collect();
    for (key, file) in [("client_cert", &chain_file), ("client_key", &key_file)] {
        table.insert(key.into(), file.to_str().unwrap().into());
    }
    write_private(&config, table.to_string());
    config
}

fn is_online(server: &Server, device: &str) -> bool {
    let shown = server.hoist_ok(&["device", "show", device, "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown.to_string().contains("\"presence\":\"online\"")
}

fn comes_in(server: &Server, device: &str) {
    eventually("the device to be there", || {
        is_online(server, device).then_some(())
    });
}

/// The agent says this, and goes on.
fn is_told(server: &Server, config: &Path, says: &str) {
    let mut agent = server.agent(config);
    eventually("the agent to say why it is not let in", || {
        agent.said().contains(says).then_some(())
    });
    assert!(agent.ended().is_none());
}

#[test]
fn a_device_with_a_certificate_of_a_named_ca_needs_no_token_until_it_is_removed() {
    let factory = Factory::new();
    let mut server = server_of(&factory);
    let (chain, key) = factory.make("pump-1", 2090);
    let config = with_certificate(&server, "pump-1", (&chain, &key));
    let agent = server.agent(&config);
    comes_in(&server, "pump-1");
    // The CA of devices is the server's own business: after a restart they come in again.
    server.kill_and_restart();
    comes_in(&server, "pump-1");
    server.hoist_ok(&["device", "remove", "pump-1", "--yes"]);
    eventually("the agent to hear that it is removed", || {
        agent.said().contains("E_REVOKED").then_some(())
    });
}

#[test]
fn a_certificate_that_is_over_of_an_unknown_ca_or_of_another_device_is_refused_by_name() {
    // bad-inputs row 67
    let (factory, stranger) = (Factory::new(), Factory::new());
    let mut server = server_of(&factory);
    let (chain, key) = factory.make("pump-1", 2021);
    let config = with_certificate(&server, "pump-1", (&chain, &key));
    is_told(&server, &config, "has expired");
    let (chain, key) = stranger.make("pump-2", 2090);
    let config = with_certificate(&server, "pump-2", (&chain, &key));
    is_told(&server, &config, "of no CA that it accepts");
    let (chain, key) = factory.make("pump-1", 2090);
    let config = with_certificate(&server, "pump-3", (&chain, &key));
    is_told(&server, &config, "is that of pump-1, not of pump-3");
    let said = server.process().said();
    for says in [
        "E_CERT_EXPIRED: the certificate of pump-1 expired on 2021-12-31",
        "E_CERT_CA: the certificate of pump-2 was made by no CA",
    ] {
        assert!(said.contains(says), "{says} is not in {said}");
    }
}
