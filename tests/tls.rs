//! What clients say to the server travels encrypted, and who is not who it should be is told so.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Output;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::harness::process::{AGENT, HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::tap::Tap;
use crate::harness::{eventually, write_private};

/// A server with a CA of its own.
fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    Server::start_at(None, dir, &["--name", "127.0.0.1"], &[])
}

/// A copy of a file in which texts are replaced by others, for its owner alone.
fn changed(server: &Server, file: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replace(from, to);
    }
    let name = format!("changed-{}", file.file_name().unwrap().to_str().unwrap());
    let path = server.scratch().join(name);
    write_private(&path, text);
    path
}

fn client_file(server: &Server) -> PathBuf {
    server.data().join("client.toml")
}

fn hoist(client: &Path, args: &[&str]) -> Output {
    let mut all = vec!["--client", client.to_str().unwrap()];
    all.extend_from_slice(args);
    run(HOIST, &all)
}

/// The error of a command that fails.
fn failure(client: &Path, args: &[&str]) -> String {
    let output = hoist(client, args);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The value of a key in a file of simple lines.
fn value(file: &Path, key: &str) -> String {
    let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    table[key].as_str().unwrap().to_owned()
}

/// True if what is shown of a device says that it is connected.
fn is_online(shown: &[u8]) -> bool {
    let shown: serde_json::Value = serde_json::from_slice(shown).unwrap_or_default();
    shown.to_string().contains("\"presence\":\"online\"")
}

#[test]
fn a_packet_capture_holds_no_plain_token_id_or_release_name_after_the_handshake() {
    let mut server = server();
    let client = client_file(&server);
    assert!(value(&client, "mqtt").starts_with("mqtts://127.0.0.1:"));
    assert!(value(&client, "http").starts_with("https://127.0.0.1:"));
    let mqtt = Tap::start("127.0.0.1", server.mqtt());
    let http = Tap::start("127.0.0.1", server.http());
    let ways = [
        (server.mqtt().to_owned(), mqtt.address.clone()),
        (server.http().to_owned(), http.address.clone()),
    ];
    let ways: Vec<_> = ways.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let tapped = changed(&server, &client, &ways);
    let release = Release::write(server.scratch(), "sensor-fw", "1.0.0", 1, "the content");
    let data = server.data();
    let create = ["--data-dir", data.to_str().unwrap(), "release", "create"];
    let directory = [release.dir().to_str().unwrap()];
    let created = hoist(&tapped, &[&create[..], &directory].concat());
    assert!(created.status.success(), "{created:?}");
    // Through the tap as well: `device add` copies the addresses of its client file.
    let added = hoist(&tapped, &["device", "add", "pump-0001"]);
    let config = server.scratch().join("pump-0001.toml");
    write_private(&config, &added.stdout);
    let _agent = server.agent(&config);
    let deploy = ["deploy", "sensor-fw@1.0.0", "--group", "unassigned"];
    assert!(hoist(&tapped, &deploy).status.success());
    let status = hoist(&tapped, &["status", "1", "--timeout", "60s"]);
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    let work = server
        .scratch()
        .join("pump-0001.state/work/sensor-fw/content");
    assert_eq!(std::fs::read_to_string(work).unwrap(), "the content");
    assert!(mqtt.bytes() > 2_000 && http.bytes() > 2_000);
    // Another device comes by a claim and shows a certificate; then both are shut out, or nearly.
    let text = hoist(&tapped, &["enroll", "create"]);
    let text = String::from_utf8(text.stdout).unwrap();
    let enrolled = server.scratch().join("pump-0002.toml");
    let path = enrolled.to_str().unwrap();
    let enroll = ["enroll", text.trim(), "--device", "pump-0002"];
    let output = run(AGENT, &[&enroll[..], &["--config", path]].concat());
    assert!(output.status.success(), "{output:?}");
    let _second = server.agent(&enrolled);
    eventually("the second device to be there", || {
        let shown = hoist(&tapped, &["device", "show", "pump-0002", "-o", "json"]);
        is_online(&shown.stdout).then_some(())
    });
    let revoked = hoist(&tapped, &["device", "revoke", "pump-0002"]);
    assert!(revoked.status.success(), "{revoked:?}");
    let renewed = hoist(&tapped, &["device", "token", "rotate", "pump-0001"]);
    let renewed_config = server.scratch().join("renewed.toml");
    write_private(&renewed_config, &renewed.stdout);
    let secrets = [&config, &client, &renewed_config].map(|file| value(file, "token"));
    let words = [
        "pump-0001",
        "pump-0002",
        "device-revoke",
        "sensor-fw",
        "hoist/",
        "artifacts",
        "the content",
    ];
    for word in words.into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(!mqtt.has_heard(word) && !http.has_heard(word), "{word}");
    }
    // The CA is made once: after a restart the device comes in again by what it pins.
    server.kill_and_restart();
    eventually("the device to come again", || {
        let shown = hoist(&client, &["device", "show", "pump-0001", "-o", "json"]);
        is_online(&shown.stdout).then_some(())
    });
}

#[test]
fn a_client_without_tls_at_a_port_with_it_and_the_other_way_round_are_told_so() {
    let server = server();
    let client = client_file(&server);
    let plain = changed(
        &server,
        &client,
        &[("mqtts://", "mqtt://"), ("https://", "http://")],
    );
    let said = failure(&plain, &["device", "list"]);
    assert!(
        said.contains("error[E_TLS]") && said.contains("speaks only TLS"),
        "{said}"
    );
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("E_TLS") && answer.contains("https://"),
        "{answer}"
    );

    let other = Server::start_at(None, tempfile::tempdir().unwrap(), &[], &[]);
    let ca = std::fs::read_to_string(server.data().join("tls/ca.pem")).unwrap();
    let wants = changed(&other, &client_file(&other), &[("mqtt://", "mqtts://")]);
    let said = failure(&wants, &["device", "list"]);
    assert!(said.contains("error[E_CERT_CA]"), "{said}");
    let text = std::fs::read_to_string(&wants).unwrap();
    write_private(&wants, format!("{text}ca = '''\n{ca}'''\n"));
    let said = failure(&wants, &["device", "list"]);
    assert!(
        said.contains("error[E_TLS]") && said.contains("not by TLS"),
        "{said}"
    );
}

#[test]
fn a_server_under_another_name_or_of_another_ca_is_not_believed() {
    // bad-inputs row 67
    let (server, other) = (server(), server());
    let client = client_file(&server);
    let elsewhere = Tap::start("127.0.0.2", server.mqtt());
    let renamed = changed(&server, &client, &[(server.mqtt(), &elsewhere.address)]);
    let said = failure(&renamed, &["device", "list"]);
    assert!(said.contains("error[E_CERT_NAME]"), "{said}");
    assert!(
        said.contains("127.0.0.1") && said.contains("not for 127.0.0.2"),
        "{said}"
    );
    let pinned = |server: &Server| value(&client_file(server), "ca");
    let (own, foreign) = (pinned(&server), pinned(&other));
    let table = format!("ca = '''\n{foreign}'''\n");
    let text = std::fs::read_to_string(&client).unwrap();
    let kept: toml::Table = text.parse().unwrap();
    let mut kept: toml::Table = kept.into_iter().filter(|(key, _)| key != "ca").collect();
    kept.remove("ca");
    let path = server.scratch().join("foreign.toml");
    write_private(&path, format!("{kept}{table}"));
    assert_ne!(own, foreign);
    let said = failure(&path, &["device", "list"]);
    assert!(said.contains("error[E_CERT_CA]"), "{said}");
    // A device says the same in its log, and goes on trying.
    let config = server.add_device("d1", &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let kept: toml::Table = text.parse().unwrap();
    let kept: toml::Table = kept.into_iter().filter(|(key, _)| key != "ca").collect();
    write_private(&config, format!("{kept}{table}"));
    let mut agent = server.agent(&config);
    eventually("the agent to say whom it does not believe", || {
        agent
            .said()
            .contains("E_CERT_CA: the certificate of")
            .then_some(())
    });
    assert!(agent.ended().is_none());
}

#[test]
fn a_name_that_does_not_lead_to_the_server_is_told_when_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_at(None, dir, &["--name", "nowhere.invalid,127.0.0.1"], &[]);
    let warned = eventually("a warning of the name", || {
        let said = server.process().said();
        let line = said.lines().find(|line| line.contains("does not lead"));
        line.map(str::to_owned)
    });
    assert!(warned.contains("nowhere.invalid"), "{warned}");
}

/// A CA that a test has made, and its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A chain for this machine, valid until the end of a year, and its key.
    fn make(&self, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (format!("{}{}", leaf.pem(), self.pem), key.serialize_pem())
    }
}

#[test]
fn a_given_certificate_that_is_over_or_of_another_key_stops_the_start_by_name() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Authority::new());
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("server.key"));
    let data = dir.path().join("data");
    let serve = |(chain_text, key_text): (&str, &str)| {
        std::fs::write(&chain, chain_text).unwrap();
        write_private(&key, key_text);
        let any = "127.0.0.1:0";
        let output = run(
            HOIST,
            &[
                "serve",
                "--data-dir",
                data.to_str().unwrap(),
                "--mqtt",
                any,
                "--http",
                any,
                "--tls-cert",
                chain.to_str().unwrap(),
                "--tls-key",
                key.to_str().unwrap(),
            ],
        );
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (old, old_key) = ca.make(2021);
    let said = serve((&old, &old_key));
    assert!(
        said.contains("error[E_CERT_EXPIRED]") && said.contains("2021-12-31"),
        "{said}"
    );
    let (good, _) = ca.make(2090);
    let said = serve((&good, &old_key));
    assert!(
        said.contains("error[E_CERT_KEY]") && said.contains("server.key"),
        "{said}"
    );
}

#[test]
fn a_certificate_is_exchanged_while_sessions_go_on() {
    let (files, ca) = (tempfile::tempdir().unwrap(), Authority::new());
    let (chain, key) = (
        files.path().join("chain.pem"),
        files.path().join("server.key"),
    );
    let write = |(chain_text, key_text): (String, String)| {
        std::fs::write(&chain, chain_text).unwrap();
        write_private(&key, key_text);
    };
    write(ca.make(2089));
    let given = [
        "--tls-cert",
        chain.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let mut server = Server::start_at(None, tempfile::tempdir().unwrap(), &given, &[]);
    let config = server.add_device("d1", &[]);
    let agent = server.agent(&config);
    let online = |server: &Server| {
        let shown = server.hoist_ok(&["device", "show", "d1", "-o", "json"]);
        is_online(shown.as_bytes()).then_some(())
    };
    eventually("the device to be there", || online(&server));
    write(ca.make(2090));
    eventually("the server to take the other certificate", || {
        let said = server.process().said();
        said.contains("the certificate was exchanged").then_some(())
    });
    assert!(
        online(&server).is_some(),
        "who is there stays, who comes gets in"
    );
    assert!(!agent.said().contains("lost"), "{}", agent.said());
}

#[test]
fn hundreds_who_say_nothing_or_half_a_hello_delay_nobody() {
    // bad-inputs row 5
    let server = server();
    let mut idle = Vec::new();
    for at in [server.mqtt(), server.http()] {
        for number in 0..300 {
            let mut stream = TcpStream::connect(at).unwrap();
            if number % 2 == 0 {
                stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            }
            idle.push(stream);
        }
    }
    server.hoist_ok(&["device", "list"]);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    assert!(server.release(release.dir()).contains("app@1.0.0"));
    drop(idle);
}
