//! A device is let in by a certificate, and gets one by one short text.

use std::path::{Path, PathBuf};
use std::process::Output;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::process::{AGENT, Finish, Process, run};
use crate::harness::server::Server;
use crate::harness::{eventually, write_private};
use crate::keys::keys;

/// A CA of devices that somebody else runs.
pub(crate) struct Factory {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

impl Factory {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn make(&self, device: &str, until: i32) -> (String, String) {
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
pub(crate) fn server_of(factory: &Factory) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("factory.pem");
    std::fs::write(&ca, &factory.pem).unwrap();
    let more = ["--name", "127.0.0.1", "--client-ca", ca.to_str().unwrap()];
    Server::start_at(None, dir, &more, &[])
}

/// The configuration of a registered device that shows a certificate and has no token.
pub(crate) fn with_certificate(
    server: &Server,
    device: &str,
    (chain, key): (&str, &str),
) -> PathBuf {
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

pub(crate) fn is_online(server: &Server, device: &str) -> bool {
    let shown = server.hoist_ok(&["device", "show", device, "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown.to_string().contains("\"presence\":\"online\"")
}

pub(crate) fn comes_in(server: &Server, device: &str) {
    eventually("the device to be there", || {
        is_online(server, device).then_some(())
    });
}

/// The agent says this, and goes on.
pub(crate) fn is_told(server: &Server, config: &Path, says: &str) {
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

/// A server that gives certificates.
pub(crate) fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    Server::start_at(None, dir, &["--name", "127.0.0.1"], &[])
}

/// The one text that `enroll create` prints.
pub(crate) fn text(server: &Server, more: &[&str]) -> String {
    let args = [&["enroll", "create"], more].concat();
    let text = server.hoist_ok(&args).trim().to_owned();
    assert!(text.starts_with("hoist-enroll:"), "{text}");
    text
}

/// Runs `hoist-agent enroll` for a device, whose configuration lies among the server's own files.
pub(crate) fn enroll(server: &Server, text: &str, device: &str) -> (Output, PathBuf) {
    let config = server.scratch().join(format!("{device}.toml"));
    let args = [
        "enroll",
        text,
        "--device",
        device,
        "--config",
        config.to_str().unwrap(),
    ];
    (run(AGENT, &args), config)
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The only claim that there is.
fn only_claim(server: &Server) -> serde_json::Value {
    let all = server.hoist_ok(&["enroll", "list", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    all[0].clone()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_text_sets_a_device_up_and_nothing_of_it_is_a_token() {
    let server = server();
    server.hoist_ok(&["group", "create", "site-a"]);
    let text = text(
        &server,
        &["--uses", "2", "--group", "site-a", "--ids", "pump-*"],
    );
    let (enrolled, config) = enroll(&server, &text, "pump-1");
    assert!(enrolled.status.success(), "{enrolled:?}");
    let state = server.scratch().join("pump-1.state");
    for secret in [
        config.clone(),
        state.join("device.key"),
        state.join("client.pem"),
    ] {
        assert_eq!(mode(&secret), 0o600, "{}", secret.display());
    }
    assert!(!std::fs::read_to_string(&config).unwrap().contains("token"));
    let _agent = server.agent(&config);
    comes_in(&server, "pump-1");
    assert!(
        server
            .hoist_ok(&["device", "show", "pump-1"])
            .contains("site-a")
    );
    // What is there is never replaced, and a repeat of the same device is no second use.
    let (again, _) = enroll(&server, &text, "pump-1");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(said(&again).contains("never replaced"), "{}", said(&again));
    assert_eq!(only_claim(&server)["used"], 1);
    let (other, _) = enroll(&server, &text, "valve-1");
    assert_eq!(other.status.code(), Some(4), "{other:?}");
    assert!(
        said(&other).contains("error[E_CLAIM_DEVICE]"),
        "{}",
        said(&other)
    );
}

#[test]
fn the_files_of_a_device_are_made_where_the_command_is_typed() {
    let server = server();
    let text = text(&server, &[]);
    let here = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(AGENT);
    command.args(["enroll", &text, "--device", "pump-1"]);
    let enrolled = command.current_dir(here.path()).finish();
    assert!(enrolled.status.success(), "{}", said(&enrolled));
    let _agent = server.agent(&here.path().join("pump-1.toml"));
    comes_in(&server, "pump-1");
}

#[test]
fn a_claim_that_is_used_up_or_revoked_lets_nobody_in_and_who_is_in_stays() {
    // bad-inputs row 72
    let server = server();
    let text = text(&server, &["--uses", "1"]);
    let (first, config) = enroll(&server, &text, "d1");
    assert!(first.status.success(), "{first:?}");
    let (second, _) = enroll(&server, &text, "d2");
    assert_eq!(second.status.code(), Some(4), "{second:?}");
    assert!(
        said(&second).contains("error[E_CLAIM_USED]"),
        "{}",
        said(&second)
    );
    // A crash before the configuration was written: the key is there, and is known.
    std::fs::remove_file(&config).unwrap();
    let (repeat, config) = enroll(&server, &text, "d1");
    assert!(repeat.status.success(), "{repeat:?}");
    let claim = only_claim(&server);
    server.hoist_ok(&["enroll", "revoke", claim["claim"].as_str().unwrap()]);
    let (third, _) = enroll(&server, &text, "d3");
    assert!(said(&third).contains("error[E_CLAIM]"), "{}", said(&third));
    // Nor does it anybody who has the key of one that is known.
    let aside = server.scratch().join("aside.toml");
    std::fs::rename(&config, &aside).unwrap();
    let (known, _) = enroll(&server, &text, "d1");
    assert!(said(&known).contains("error[E_CLAIM]"), "{}", said(&known));
    std::fs::rename(&aside, &config).unwrap();
    let _agent = server.agent(&config);
    comes_in(&server, "d1");
    for broken in ["hoist-enroll:AQ", "mqtts://127.0.0.1"] {
        let (refused, _) = enroll(&server, broken, "d4");
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[test]
fn a_device_enrolls_where_earlier_root_documents_are_lost() {
    let mut server = server();
    keys(&server, &["rotate", "release"]);
    std::fs::remove_file(server.data().join("keys/root.1.bin")).unwrap();
    server.kill_and_restart();
    let text = text(&server, &[]);
    let (enrolled, config) = enroll(&server, &text, "d1");
    assert!(enrolled.status.success(), "{}", said(&enrolled));
    let _agent = server.agent(&config);
    comes_in(&server, "d1");
}

#[test]
fn a_device_whose_text_is_older_than_key_rotations_walks_the_chain_without_an_alarm() {
    let server = server();
    let text = text(&server, &[]);
    for _ in 0..3 {
        keys(&server, &["rotate", "orchestrator"]);
    }
    let (enrolled, config) = enroll(&server, &text, "d1");
    assert!(enrolled.status.success(), "{}", said(&enrolled));
    let agent = server.agent(&config);
    comes_in(&server, "d1");
    eventually("the device to trust the newest document", || {
        agent.said().contains("number=4").then_some(())
    });
    assert!(!agent.said().contains("E_SIG"), "{}", agent.said());
}

#[test]
fn another_board_waits_until_its_fingerprint_is_approved() {
    // bad-inputs row 36
    let server = server();
    let text = text(&server, &["--uses", "1"]);
    assert!(enroll(&server, &text, "d1").0.status.success());
    // Somebody has the board that was replaced, with all that is on it.
    let old = tempfile::tempdir().unwrap();
    for name in ["d1.toml", "d1.state"] {
        std::fs::rename(server.scratch().join(name), old.path().join(name)).unwrap();
    }
    let of_old = old.path().join("d1.toml");
    let old_agent = server.agent(&of_old);
    comes_in(&server, "d1");
    let config = server.scratch().join("d1.toml");
    let args = [
        "enroll",
        &text,
        "--device",
        "d1",
        "--config",
        config.to_str().unwrap(),
    ];
    let log = server.scratch().join("enroll.log");
    let mut waiting = Process::start(AGENT, &args, &log);
    let fingerprint = eventually("the device to say its fingerprint", || {
        let said = waiting.said();
        let (_, after) = said.split_once("--fingerprint ")?;
        Some(after.split('`').next()?.to_owned())
    });
    assert!(waiting.said().contains("waiting[E_REENROL]"));
    server.hoist_ok(&["device", "approve", "d1", "--fingerprint", &fingerprint]);
    eventually("the old board to be shut out", || {
        old_agent.said().contains("not connected").then_some(())
    });
    drop(old_agent);
    eventually("the device to be enrolled", || waiting.ended());
    let _agent = server.agent(&config);
    comes_in(&server, "d1");
    is_told(&server, &of_old, "takes this certificate no more");
}
