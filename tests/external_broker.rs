//! The orchestrator beside a broker that somebody else runs: the distribution's Mosquitto.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::device::Device;
use crate::harness::eventually;
use crate::harness::mosquitto::Mosquitto;
use crate::harness::mqtt::{Client, Login};
use crate::harness::operator::Operator;
use crate::harness::process::{HOIST, installed, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::restart::disturbed_rollout;

/// The spec of the group of every new device.
const HEAD: &str = "hoist/g/unassigned";

#[test]
fn a_release_is_deployed_over_somebody_elses_broker_and_everybody_is_told_its_address() {
    if !installed("mosquitto") {
        return;
    }
    let broker = Mosquitto::start();
    let address = broker.address();
    let mut server = Server::start_on(broker);
    let url = format!("mqtt://{address}");
    let ready = fs::read(server.data().join("run.json")).unwrap();
    let ready: Value = serde_json::from_slice(&ready).unwrap();
    assert_eq!(ready["mqtt"], json!(url));
    for named in ["client.toml", "../dev-01.toml"] {
        if named.contains("dev-01") {
            server.add_device("dev-01", &[]);
        }
        let text = fs::read_to_string(server.data().join(named)).unwrap();
        assert!(text.contains(&url), "{named}: {text}");
    }
    let said = server.process().said();
    assert!(said.contains(&format!("ready {url} http://")), "{said}");
    assert!(
        said.contains("an external broker decides who comes in"),
        "{said}"
    );

    let operator = Operator::new(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let _agent = server.agent(&server.scratch().join("dev-01.toml"));
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    let content = server.scratch().join("dev-01.state/work/app/content");
    assert_eq!(fs::read_to_string(content).unwrap(), "content");
}

/// Waits until the server says that it is not ready because of its broker.
fn is_missed(server: &Server) {
    let (ready, said) = eventually("the server to miss its broker", || {
        let answer = server.readiness()?;
        answer
            .1
            .contains("no connection to the broker at")
            .then_some(answer)
    });
    assert!(!ready && said.contains("E_BROKER"), "{said}");
}

/// The user who may read and write everything: the orchestrator's own login at the broker.
fn insider(server: &Server) -> Client {
    let login = Login {
        user: "orchestrator".into(),
        token: String::new(),
    };
    Client::connect(server.mqtt(), "", &login)
}

/// The message that is retained on a topic, as somebody finds it who comes now.
fn retained(server: &Server, topic: &str) -> Vec<u8> {
    let reader = insider(server);
    assert!(reader.subscribe(topic));
    reader.wait_for(topic, |payload| Some(payload.to_vec()))
}

/// The group's spec once it is another than this one.
fn other_than(server: &Server, before: &[u8]) -> Vec<u8> {
    eventually("another spec", || {
        Some(retained(server, HEAD)).filter(|spec| spec != before)
    })
}

/// Waits until it is ready, and proves that a group's spec is at the broker.
fn is_back(server: &Server) {
    eventually("the server to be ready again", || {
        server.readiness().filter(|(ready, _)| *ready)
    });
    assert!(!retained(server, HEAD).is_empty());
}

#[test]
fn a_server_waits_for_its_broker_says_so_and_goes_on_by_itself() {
    // bad-inputs row 13
    if !installed("mosquitto") {
        return;
    }
    let mut server = Server::start_on(Mosquitto::start());
    is_back(&server);
    server.broker().kill();
    is_missed(&server);
    server.broker().start_again();
    is_back(&server);

    server.broker().kill();
    assert!(server.stop().success());
    server.restart_unready();
    is_missed(&server);
    assert!(!server.data().join("run.json").exists());
    server.broker().start_again();
    server.wait_ready();
    is_back(&server);
}

#[test]
fn an_access_list_that_keeps_the_orchestrator_from_reading_is_named_as_the_reason() {
    if !installed("mosquitto") {
        return;
    }
    let mut server = Server::start_on(Mosquitto::start());
    assert!(server.stop().success());
    server.broker().let_read(false);
    server.restart_unready();
    eventually("the server to say what is wrong", || {
        let (ready, said) = server.readiness()?;
        (!ready && said.contains("E_ACCESS")).then_some(())
    });
    server.broker().let_read(true);
    server.wait_ready();
    is_back(&server);
}

#[test]
fn a_broker_that_is_killed_and_empty_three_times_in_a_rollout_loses_and_doubles_nothing() {
    // bad-inputs row 13
    if !installed("mosquitto") {
        return;
    }
    let mut server = Server::start_on(Mosquitto::start());
    disturbed_rollout(&mut server, 50, 3, |server| {
        server.broker().kill();
        server.broker().start_again();
    });
}

#[test]
fn an_older_spec_that_a_broker_or_somebody_brings_back_is_put_right_and_starts_nobody() {
    // bad-inputs row 12
    if !installed("mosquitto") {
        return;
    }
    let broker = Mosquitto::start_with(&[("persistence", "true"), ("autosave_interval", "0")]);
    let mut server = Server::start_on(broker);
    let operator = Operator::new(&server);
    for name in ["app", "other"] {
        let release = Release::write(server.scratch(), name, "1.0.0", 1, "content");
        server.release(release.dir());
    }
    let mut device = Device::add(&server, "dev-01", &[]);
    let empty = retained(&server, HEAD);
    let wrong = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let listing = other_than(&server, &empty);
    server.broker().save(&listing);
    let body = json!({"deployment": wrong, "reason": "wrong release"});
    operator.client().command_ok("abort", &body);
    let desired = other_than(&server, &listing);

    server.process().signal("STOP");
    server.broker().kill();
    server.broker().start_again();
    assert_eq!(retained(&server, HEAD), listing, "the broker went back");
    server.process().signal("CONT");
    let is_desired = || Some(retained(&server, HEAD)).filter(|spec| *spec == desired);
    eventually("the spec to be put right", is_desired);
    insider(&server).publish(HEAD, &listing, true);
    eventually("the spec to be put right once more", is_desired);

    device.start(&server);
    let operator = Operator::new(&server);
    let right = operator.deploy("other@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(right);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
    assert!(
        !device.work("app").exists(),
        "nothing of the aborted release ran"
    );
}

#[test]
fn a_copy_of_the_data_that_is_older_than_what_the_broker_holds_does_not_start() {
    // bad-inputs rows 64 and 66
    if !installed("mosquitto") {
        return;
    }
    let mut server = Server::start_on(Mosquitto::start());
    assert!(server.stop().success());
    let data = server.data();
    let older = server.scratch().join("older");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
        assert!(run("cp", &["-a", from, to]).status.success());
    };
    copy(&data, &older);
    server.restart();
    server.hoist_ok(&["group", "create", "eu"]);
    assert!(server.stop().success());
    copy(&older, &data);

    let broker = server.broker().arguments();
    let data = data.display().to_string();
    let mut args = vec!["serve", "--data-dir", &data, "--http", "127.0.0.1:0"];
    args.extend(broker.iter().map(String::as_str));
    let refused = run(HOIST, &args);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for part in ["error[E_RECOVER]", "hoist/g/", "hoist recover"] {
        assert!(said.contains(part), "{part} is in {said}");
    }
}

/// A server at a broker with passwords, which knows the orchestrator and the administrator.
fn with_passwords() -> Server {
    let broker = Mosquitto::start_for("its own");
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "its own\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let variables = [("HOIST_TOKEN_FILE", token.to_str().unwrap())];
    let mut server = Server::start_at(Some(broker), dir, &[], &variables);
    let admin = server.admin();
    server.broker().add_user("admin", &admin.token);
    server
}

#[test]
fn a_device_that_its_broker_turned_away_is_a_member_again_when_it_is_let_in() {
    if !installed("mosquitto") || !installed("mosquitto_passwd") {
        return;
    }
    let mut server = with_passwords();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let mut device = Device::add(&server, "dev-01", &[]);
    let token = Login::read(&server.scratch().join("dev-01.toml")).token;
    let spec = device.state().join("head");
    let knows_its_group = |knows: bool| {
        let what = format!("the device to know its group: {knows}");
        eventually(&what, || (spec.exists() == knows).then_some(()));
    };
    server.broker().add_user("dev-01", &token);
    device.start(&server);
    knows_its_group(true);
    server.broker().add_user("dev-01", "another");
    server.broker().kill();
    server.broker().start_again();
    knows_its_group(false);
    server.broker().add_user("dev-01", &token);
    knows_its_group(true);
    let operator = Operator::new(&server);
    let deployment = operator.deploy("app@1.0.0", "unassigned", &json!({}));
    let view = operator.settled(deployment);
    assert_eq!(view["counts"]["successful"], json!(1), "{view}");
}

#[test]
fn the_orchestrator_comes_in_by_its_token_and_roles_are_looked_up_by_the_name_in_the_topic() {
    if !installed("mosquitto") || !installed("mosquitto_passwd") {
        return;
    }
    let mut server = with_passwords();
    server
        .client()
        .command_ok("group-create", &json!({"group": "eu"}));

    // At home in the broker and unknown to the server.
    let stranger = Login {
        user: "stranger".into(),
        token: "s".into(),
    };
    server.broker().add_user("stranger", "s");
    let client = Client::connect(server.mqtt(), "", &stranger);
    let code = client.command_refused("group-create", &json!({"group": "us"}));
    assert_eq!(code, "E_ROLE");
    // Its access list keeps it from everybody else's name.
    client.publish(
        "hoist/cmd/admin/r1/group-create",
        br#"{"group":"us"}"#,
        false,
    );
    let groups = server.client().command_ok("group-list", &json!({}));
    assert!(!groups.to_string().contains("\"us\""), "{groups}");

    assert!(server.stop().success());
    server.restart_unready();
    eventually("the broker to refuse who has no token", || {
        let (ready, said) = server.readiness()?;
        (!ready && said.contains("refuses the orchestrator's name or password")).then_some(())
    });
}

#[test]
fn a_retained_command_is_carried_out_once_and_cleared_when_it_comes_again() {
    // bad-inputs row 31
    if !installed("mosquitto") {
        return;
    }
    let mut server = Server::start_on(Mosquitto::start());
    let client = server.client();
    let reply = "hoist/reply/admin/sticky";
    assert!(client.subscribe(reply));
    let topic = "hoist/cmd/admin/sticky/device-add";
    client.publish(topic, br#"{"device":"dev-01"}"#, true);
    client.wait_json(reply, |reply| reply["ok"] == json!(true));
    client.command_ok("device-remove", &json!({"device": "dev-01"}));
    server.kill_and_restart();
    eventually("the command to be cleared", || {
        let reader = insider(&server);
        assert!(reader.subscribe("hoist/cmd/#") && reader.subscribe(HEAD));
        reader.wait_for(HEAD, |_| Some(()));
        let mut kept = reader.messages().into_iter();
        let is_kept = kept.any(|message| message.topic == topic && !message.payload.is_empty());
        (!is_kept).then_some(())
    });
    let devices = server.client().command_ok("device-list", &json!({}));
    assert_eq!(devices["items"], json!([]));
}
