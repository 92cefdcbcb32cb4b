//! The way of an artifact to a device: a server that is busy, a proxy in between, redirects,
//! answers that cannot be used. What people are told meanwhile names it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::between::{Answer, Asked, Between};
use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::operator::{Operator, assert_one_outcome};
use crate::harness::process::{AGENT, Finish, Process};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Every variable that could name a proxy.
const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

fn with_release() -> (Server, Operator) {
    let server = Server::start();
    let operator = Operator::new(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "new");
    server.release(release.dir());
    (server, operator)
}

fn deploy(operator: &Operator) -> u64 {
    operator.deploy("app@1.0.0", "unassigned", &json!({}))
}

/// The agent with these variables and no other of a proxy.
fn agent(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(AGENT);
    command.args(arguments);
    for name in PROXY_VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    command
}

fn start(config: &Path, variables: &[(&str, &str)]) -> Process {
    let arguments = ["--config", config.to_str().unwrap()];
    Process::spawn(
        &mut agent(&arguments, variables),
        &config.with_extension("log"),
    )
}

fn busy() -> Answer {
    Answer::Head("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 0".to_owned())
}

#[test]
fn a_busy_artifact_server_is_named_where_people_look_and_asked_as_rarely_as_it_wants() {
    let (server, operator) = with_release();
    let seen = Arc::new(AtomicBool::new(false));
    let was_seen = seen.clone();
    let between = Between::start(server.http(), move |asked| {
        match asked.number < 5 || !was_seen.load(Ordering::Relaxed) {
            true => busy(),
            false => Answer::HandedOn,
        }
    });
    let mut device = Device::add(&server, "dev-01", &[]);
    device.replace_setting(server.http(), between.address());
    device.start(&server);
    let deployment = deploy(&operator);

    let cause = "the artifact server answers 503";
    for words in [
        &["device", "why", "dev-01"][..],
        &["device", "why", "dev-01", "-o", "json"],
        &["device", "show", "dev-01"],
        &["device", "show", "dev-01", "-o", "json"],
    ] {
        eventually(&format!("{words:?} to name it"), || {
            server.hoist_ok(words).contains(cause).then_some(())
        });
    }
    seen.store(true, Ordering::Relaxed);
    assert_one_outcome(&operator.settled(deployment), "successful");
    assert_eq!(device.content("app"), "new");
    // The two clocks may differ a little.
    let rarely = Duration::from_millis(2_900);
    for pair in between.asked()[..6].windows(2) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= rarely, "asked again after {pause:?}");
    }
}

#[test]
fn an_answer_in_another_encoding_is_named_with_what_helps() {
    let (server, operator) = with_release();
    let between = Between::start(server.http(), |asked| {
        assert!(asked.headers.contains("Accept-Encoding: identity\r\n"));
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0";
        Answer::Head(head.to_owned())
    });
    let config = server.add_device("dev-01", &[]);
    replace(&config, server.http(), between.address());
    let agent = start(&config, &[]);
    deploy(&operator);
    let named =
        "answers with Content-Encoding gzip, and identity was asked for: turn compression off";
    eventually("the agent to name it", || {
        agent.said().contains(named).then_some(())
    });
}

fn replace(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(from), "{from} is in {text}");
    std::fs::write(config, text.replace(from, to)).unwrap();
}

/// A device that reaches the artifact server by a name that is not this machine's own.
fn device(server: &Server, id: &str) -> (PathBuf, String) {
    let config = server.add_device(id, &[]);
    let (_, port) = server.http().rsplit_once(':').unwrap();
    let host = format!("0.0.0.0:{port}");
    replace(&config, server.http(), &host);
    (config, host)
}

fn is_redirected(asked: &Asked) -> bool {
    asked.target.ends_with("?again")
}

#[test]
fn artifacts_come_through_the_proxy_and_around_it_where_no_proxy_says_so() {
    let (server, operator) = with_release();
    // The first answer leads elsewhere, by a relative address.
    let proxy = Between::start(server.http(), |asked| {
        let (_, id) = asked.target.rsplit_once('/').unwrap();
        let to = format!("HTTP/1.1 302 Found\r\nLocation: ../artifacts/{id}?again");
        match asked.number {
            0 => Answer::Head(to + "\r\nContent-Length: 0"),
            _ => Answer::HandedOn,
        }
    });
    let address = format!("http://{}", proxy.address());
    let (config, host) = device(&server, "dev-01");
    let through = start(&config, &[("http_proxy", &address)]);
    let first = deploy(&operator);
    assert_one_outcome(&operator.settled(first), "successful");
    let asked = proxy.asked();
    let base = format!("http://{host}/artifacts/");
    for one in &asked {
        assert!(one.target.starts_with(&base), "{one:?}");
        assert!(
            one.headers.contains(&format!("Host: {host}\r\n")),
            "{one:?}"
        );
        assert!(
            one.headers.contains("Accept-Encoding: identity\r\n"),
            "{one:?}"
        );
    }
    assert!(asked.iter().any(is_redirected), "{asked:?}");
    drop(through);

    // The second device is in the same group: the deployment goes on to it.
    let around = [("http_proxy", address.as_str()), ("no_proxy", "0.0.0.0")];
    let (config, _) = device(&server, "dev-02");
    let _around = start(&config, &around);
    let done = |device: &str| {
        eventually("the device to be done", || {
            let record = operator.record(device, first);
            (record["status"] == json!("successful")).then_some(())
        });
    };
    done("dev-02");
    // A proxy for something else is no reason to stay away.
    let (config, _) = device(&server, "dev-03");
    let other = start(&config, &[("https_proxy", &address)]);
    done("dev-03");
    assert_eq!(proxy.asked().len(), asked.len(), "nobody else asked it");
    assert!(
        other.said().contains("https_proxy is set"),
        "{}",
        other.said()
    );
}

#[test]
fn what_of_an_address_cannot_be_honored_is_refused_by_name_and_no_password_is_told() {
    let server = Server::start();
    let config = server.add_device("dev-01", &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let path = config.to_str().unwrap();
    let said = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = agent(arguments, variables).finish();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
        (output.status.code(), said)
    };
    let check = ["check-config", "--config", path];
    let whole = |(code, said): (Option<i32>, String)| code == Some(0) && said.starts_with("ok\n");
    assert!(whole(said(&check, &[])));
    let fine = [("http_proxy", "proxy:3128"), ("https_proxy", "proxy:3128")];
    assert!(whole(said(&check, &fine)));
    for (variable, value) in [
        ("https_proxy", "http://proxy:3128"),
        ("ALL_PROXY", "socks5://user:hunter2@proxy"),
        ("http_proxy", "http://user:hunter2@proxy:3128"),
        ("HTTP_PROXY", "user:hunter2@proxy:3128"),
        ("http_proxy", "socks5://proxy:1"),
    ] {
        let (code, said) = said(&check, &[(variable, value)]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(variable), "{said}");
    }
    let run = ["--config", path];
    let (code, refused) = said(&run, &[("http_proxy", "http://user:hunter2@proxy:3128")]);
    assert_eq!(code, Some(2), "{refused}");
    assert!(refused.contains("http_proxy"), "{refused}");
    for (scheme, setting) in [("http://", "artifacts"), ("mqtt://", "broker")] {
        let secret = text.replace(scheme, &format!("{scheme}user:hunter2@"));
        std::fs::write(&config, secret).unwrap();
        for arguments in [&check[..], &run] {
            let (code, said) = said(arguments, &[]);
            assert_eq!(code, Some(2), "{said}");
            assert!(
                said.contains(setting) && said.contains("password"),
                "{said}"
            );
        }
    }
}
