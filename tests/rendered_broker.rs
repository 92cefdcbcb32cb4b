//! A server beside a Mosquitto by the files that Hoist makes for it: TLS, passwords, rules.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::harness::process::{AGENT, Process, installed, run};
use crate::harness::release::Release;
use crate::harness::rendered::Site;
use crate::harness::{eventually, write_private};

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn a_device_is_added_and_updated_over_a_rendered_broker_by_tls() {
    if !installed("mosquitto") {
        return;
    }
    let site = Site::start();
    let mut server = site.serve_beside(&[]);
    site.wait_ready(&mut server);
    let config = site.scratch().join("dev-01.toml");
    site.hoist_ok(&["device", "add", "dev-01", "--out", config.to_str().unwrap()]);
    let agent = std::fs::read_to_string(&config).unwrap();
    let at = format!("broker = \"mqtts://127.0.0.1:{}\"", site.port());
    assert!(agent.contains(&at), "{agent}");
    // The server runs: its devices come from it.
    let rendered = text(&site.render().stdout);
    assert!(rendered.contains("5 logins"), "{rendered}");
    site.read_again();

    let release = Release::write(site.scratch(), "app", "1.0.0", 1, "content");
    site.hoist_ok(&["release", "create", release.dir().to_str().unwrap()]);
    let log = site.scratch().join("agent.log");
    let _agent = Process::start(AGENT, &["--config", config.to_str().unwrap()], &log);
    site.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    site.hoist_ok(&["status", "1", "--timeout", "60s"]);
    let shown = site.hoist_ok(&["status", "1", "--watch=false", "-o", "json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["counts"]["successful"], json!(1), "{shown}");
    let (report, exit) = site.doctor();
    assert_eq!(exit, 0, "{report}");
    assert!(server.terminate().success());
    assert!(!server.said().contains("lost"), "{}", server.said());
}

#[test]
fn a_user_of_whom_only_a_hash_is_kept_is_named_and_comes_in_by_its_own_file() {
    if !installed("mosquitto") {
        return;
    }
    let mut site = Site::start();
    let mut server = site.serve_beside(&[]);
    site.wait_ready(&mut server);
    let vera = site.scratch().join("vera.toml");
    let vera = vera.to_str().unwrap();
    site.hoist_ok(&["user", "add", "vera", "--role", "viewer", "--out", vera]);
    let said = text(&site.render().stderr);
    assert!(said.contains("no password for vera"), "{said}");
    site.read_again();
    let list = ["--client", vera, "device", "list"];
    assert_eq!(site.hoist(&list).status.code(), Some(4));
    let (out, port) = (site.files(), site.port().to_string());
    let (out, plain) = (
        out.to_str().unwrap(),
        ["--listen", "127.0.0.1", "--name", "127.0.0.1"],
    );
    let mut args = vec![
        "broker",
        "render",
        "mosquitto",
        "--out",
        out,
        "--port",
        &port,
    ];
    args.extend(plain);
    args.extend(["--login", vera]);
    site.hoist_ok(&args);
    site.read_again();
    site.hoist_ok(&list);
    // What was made once stays.
    let said = text(&site.render().stderr);
    assert!(!said.contains("no password"), "{said}");
    site.run_broker(str::to_owned);
    site.hoist_ok(&list);
}

/// A CA of devices, and the certificate of one of them, in files of this folder.
fn of_device(dir: &Path, device: &str) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, device);
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    write_private(&dir.join("devices-ca.pem"), ca);
    write_private(&dir.join("device.pem"), certificate);
    write_private(&dir.join("device.key"), key.serialize_pem());
}

#[test]
fn a_device_comes_in_by_its_certificate_alone_and_says_only_what_is_its_own() {
    if !installed("mosquitto") || !installed("mosquitto_pub") {
        return;
    }
    let certificates = tempfile::tempdir().unwrap();
    of_device(certificates.path(), "dev-07");
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let mut site = Site::new(&["--client-ca", &file("devices-ca.pem")]);
    site.run_broker(str::to_owned);
    let ca = site.files().join("ca.pem").display().to_string();
    let (port, people) = ((site.port() + 2).to_string(), (site.port() + 1).to_string());
    let token = std::fs::read_to_string(site.orchestrator_token()).unwrap();
    let log = site.scratch().join("heard.log");
    let to = |port: &str| ["-h", "127.0.0.1", "-p", port, "--cafile", &ca].map(str::to_owned);
    let mut listen = to(&people).to_vec();
    listen.extend(
        [
            "-u",
            "orchestrator",
            "-P",
            token.trim(),
            "-t",
            "hoist/#",
            "-v",
        ]
        .map(str::to_owned),
    );
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let heard = Process::start("mosquitto_sub", &listen, &log);
    let says = |topic: &str, with: &[&str]| {
        let to = to(&port);
        let mut args: Vec<&str> = to.iter().map(String::as_str).collect();
        args.extend(["-V", "311", "-q", "1", "-r", "-t", topic, "-m", topic]);
        args.extend_from_slice(with);
        run("mosquitto_pub", &args)
    };
    let (certificate, key) = (file("device.pem"), file("device.key"));
    let with = ["--cert", certificate.as_str(), "--key", key.as_str()];
    assert!(
        !says("hoist/s/00/dev-07", &[]).status.success(),
        "without a certificate"
    );
    says("hoist/s/00/dev-08", &with);
    says("hoist/g/eu", &with);
    let output = says("hoist/s/00/dev-07", &with);
    assert!(output.status.success(), "{output:?}");
    eventually("its own status to arrive", || {
        heard.said().contains("hoist/s/00/dev-07").then_some(())
    });
    assert!(!heard.said().contains("dev-08") && !heard.said().contains("/g/"));
}

#[test]
fn a_wrong_ca_of_the_broker_is_said_once_and_names_the_flag() {
    if !installed("mosquitto") {
        return;
    }
    let site = Site::start();
    let certificates = tempfile::tempdir().unwrap();
    of_device(certificates.path(), "dev-07");
    let ca = certificates
        .path()
        .join("devices-ca.pem")
        .display()
        .to_string();
    let [_, at, ..] = site.broker_flags();
    let mut server = site.serve(&["--broker", &at, "--broker-ca", &ca]);
    let line = || {
        let said = server.said();
        let lines = said.lines().filter(|line| line.contains("cannot connect"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = eventually("the server to say what is wrong", || {
        line().into_iter().next()
    });
    assert!(
        first.contains("--broker-ca") && first.contains(&at),
        "{first}"
    );
    for word in ["MqttLogin", "agent.toml", "client.toml"] {
        assert!(!first.contains(word), "{first}");
    }
    // The log of Mosquitto shows that it is tried again.
    let tried = || site.broker_said().matches("New connection from").count();
    let before = tried();
    eventually("more attempts", || (tried() > before + 3).then_some(()));
    assert_eq!(line().len(), 1, "{}", server.said());
    assert!(server.terminate().success());
}
