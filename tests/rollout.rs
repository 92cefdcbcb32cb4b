//! Deployments end where they should, reach whom they should, and fail nobody who is only
//! silent: the rules of rollouts on real programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hoist_orchestrator_core::model::time::format_time;
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::mqtt::Client;
use crate::harness::process::{HOIST, Process};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Silence is judged in moments, so that tests are short.
const SHORT: &str = "grace = \"1s\"\nsettle = \"300ms\"\n";
/// A device's whole time in a deployment, in seconds.
const TIMEOUT_S: u64 = 2;

fn view(id: u32) -> String {
    format!("hoist/view/deployment/{id}")
}

fn operator(server: &Server) -> Client {
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    client
}

fn successful(count: u64) -> impl FnMut(&Value) -> bool {
    move |view| view["counts"]["successful"] == json!(count)
}

fn installing(view: &Value) -> bool {
    view["steps"]["installing"] == json!(1)
}

/// A release whose `install` waits until the file exists.
fn gated(server: &Server, name: &str) -> (Release, PathBuf) {
    let release = Release::write(server.scratch(), name, "1.0.0", 1, "content");
    let gate = server.scratch().join(format!("{name}.gate"));
    let shut = gate.display();
    let install = format!(
        "echo install >> scripts.log\nwhile [ ! -e {shut} ]; do sleep 0.02; done\n\
         cp \"$HOIST_PAYLOAD_DIR/content\" content"
    );
    release.script("install", &install);
    // A run that was cut off may be repeated, also after the deadline.
    release.setting("[scripts.install]\nidempotent = true");
    server.release(release.dir());
    (release, gate)
}

fn open(gate: &Path) {
    fs::write(gate, "").unwrap();
}

fn item(client: &Client, id: u32, device: &str) -> Value {
    let list = client.command_ok("device-list", &json!({"deployment": id}));
    let items = list["items"].as_array().unwrap().clone();
    let mut items = items.into_iter();
    items.find(|item| item["device"] == json!(device)).unwrap()
}

/// A fleet of `hoist sim` and where it leaves its account.
fn sim(server: &Server, devices: &str) -> Process {
    let client = server.data().join("client.toml");
    let args = [
        "--client",
        client.to_str().unwrap(),
        "sim",
        "--devices",
        devices,
        "--keep",
        "--json",
    ];
    Process::start(
        HOIST,
        &args,
        &server.scratch().join(format!("sim-{devices}.log")),
    )
}

/// Ends a fleet and returns what its devices did.
fn account(mut sim: Process) -> Value {
    assert!(sim.terminate().success());
    let said = sim.said();
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_limit_of_ten_among_forty_starts_exactly_ten_and_no_later_joiner() {
    // S10, bad-inputs row 38
    let server = Server::start();
    let client = operator(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let fleet = sim(&server, "40");
    client.wait_json("hoist/view/group/sim", |view| view["online"] == json!(40));
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "sim", "--limit", "10"]);
    let ended =
        |view: &Value| view["state"] == json!("completed") && view["settled"] == json!(true);
    let end = client.wait_json(&view(1), ended);
    assert_eq!(end["reason"], json!("device-limit"), "{end}");
    assert_eq!(end["counts"]["successful"], json!(10), "{end}");
    assert_eq!(end["counts"]["pending"], json!(30), "never started: {end}");
    let truth = account(fleet);
    assert_eq!(truth["deployments"]["1"]["started"], json!(10), "{truth}");

    // Five more join; another release shows that all of them are there and at work.
    let fleet = sim(&server, "45");
    let other = Release::write(server.scratch(), "other", "1.0.0", 1, "content");
    server.release(other.dir());
    server.hoist_ok(&["deploy", "other@1.0.0", "--group", "sim"]);
    client.wait_json(&view(2), successful(45));
    let truth = account(fleet);
    assert_eq!(truth["deployments"]["2"]["started"], json!(45), "{truth}");
    assert_eq!(
        truth["deployments"]["1"],
        Value::Null,
        "nobody began it: {truth}"
    );
    let shown = client.command_ok("deployment-show", &json!({"deployment": 1}));
    assert_eq!(
        shown["limit"],
        json!({"devices": 10, "given": 10, "started": 10})
    );
    assert_eq!(shown["counts"]["members"], json!(40), "frozen: {shown}");
}

#[test]
fn joiners_of_a_limited_deployment_take_what_is_left_and_no_more() {
    // S10
    let server = Server::start();
    let client = operator(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    server.hoist_ok(&["group", "create", "sim"]);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "sim", "--limit", "3"]);
    let fleet = sim(&server, "8");
    client.wait_json(&view(1), |view| view["reason"] == json!("device-limit"));
    client.wait_json(&view(1), successful(3));
    let truth = account(fleet);
    assert_eq!(truth["deployments"]["1"]["started"], json!(3), "{truth}");
}

#[test]
fn a_scheduled_deployment_starts_nobody_before_its_time() {
    // S2
    let server = Server::start();
    let client = operator(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    release.script("pre-install", "date +%s > began");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    client.wait_json("hoist/view/group/unassigned", |view| {
        view["online"] == json!(1)
    });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let start = now + 3;
    let text = format_time(start * 1000);
    server.hoist_ok(&[
        "deploy",
        "app@1.0.0",
        "--group",
        "unassigned",
        "--start",
        &text,
    ]);
    let before = client.wait_json(&view(1), |view| view["state"] == json!("scheduled"));
    assert_eq!(before["counts"]["pending"], json!(1), "{before}");
    client.wait_json(&view(1), successful(1));
    let began = server.scratch().join("dev-01.state/work/app/began");
    let began: u64 = fs::read_to_string(began).unwrap().trim().parse().unwrap();
    assert!(began >= start, "began at {began}, due at {start}");
}

#[test]
fn a_device_killed_in_progress_is_failed_provisionally_and_successful_late_once() {
    // S6, S7, S15, bad-inputs row 35
    let server = Server::start_set(SHORT);
    let client = operator(&server);
    let (_, gate) = gated(&server, "app");
    let config = server.add_device("dev-01", &[]);
    let mut agent = server.agent(&config);
    let body = json!({"release": "app@1.0.0", "group": "unassigned", "timeoutSecs": TIMEOUT_S});
    client.command_ok("deploy", &body);
    client.wait_json(&view(1), installing);
    agent.kill();
    let lost = client.wait_json(&view(1), |view| view["steps"]["retrying"] == json!(1));
    assert_eq!(lost["counts"]["inProgress"], json!(1), "{lost}");
    client.wait_json(&view(1), |view| view["counts"]["failed"] == json!(1));
    let failed = item(&client, 1, "dev-01");
    assert_eq!(failed["provisional"], json!(true), "{failed}");
    assert_eq!(failed["reason"], json!("timed-out"), "{failed}");
    assert_eq!(failed["presence"], json!("offline"), "{failed}");

    open(&gate);
    let _agent = server.agent(&config);
    let end = client.wait_json(&view(1), successful(1));
    assert_eq!(end["counts"]["failed"], json!(0), "counted once: {end}");
    let late = item(&client, 1, "dev-01");
    assert_eq!(
        (&late["late"], &late["provisional"]),
        (&json!(true), &json!(false)),
        "{late}"
    );
}

#[test]
fn a_moved_device_finishes_what_runs_and_then_obeys_its_new_group() {
    // S14
    let server = Server::start();
    let client = operator(&server);
    let (_, gate) = gated(&server, "app");
    let other = Release::write(server.scratch(), "other", "1.0.0", 1, "content");
    server.release(other.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    server.hoist_ok(&["group", "create", "eu"]);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    client.wait_json(&view(1), installing);
    server.hoist_ok(&["deploy", "other@1.0.0", "--group", "eu"]);
    server.hoist_ok(&["device", "move", "dev-01", "--group", "eu"]);
    let moved = client.wait_json(&view(1), |view| view["counts"]["inProgress"] == json!(1));
    assert_eq!(
        moved["counts"]["members"],
        json!(1),
        "its record counts: {moved}"
    );
    open(&gate);
    let end = client.wait_json(&view(1), successful(1));
    assert_eq!(end["counts"]["pending"], json!(0), "{end}");
    client.wait_json(&view(2), successful(1));
}

#[test]
fn a_held_device_starts_nothing_until_it_is_let_go_and_a_removed_one_is_gone() {
    let server = Server::start();
    let client = operator(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let _held = server.agent(&server.add_device("dev-01", &[]));
    let _other = server.agent(&server.add_device("dev-02", &[]));
    server.hoist_ok(&["device", "hold", "dev-01"]);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    client.wait_json(&view(1), successful(1));
    assert_eq!(item(&client, 1, "dev-01")["status"], json!("pending"));
    server.hoist_ok(&["device", "hold", "dev-01", "--lift"]);
    client.wait_json(&view(1), successful(2));
    let asks = server.hoist(&["device", "remove", "dev-02"]);
    assert_eq!(asks.status.code(), Some(2), "nobody is there to say yes");
    server.hoist_ok(&["device", "remove", "dev-02", "--yes"]);
    let gone = client.command_refused("device-show", &json!({"device": "dev-02"}));
    assert_eq!(gone, "E_DEVICE");
}

#[test]
fn retry_runs_only_what_failed_and_of_that_only_what_was_named() {
    // S13
    let server = Server::start();
    let client = operator(&server);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let broken = |device: &str| server.scratch().join(format!("broken-{device}"));
    let verify = format!("[ ! -e {} ]", broken("$HOIST_DEVICE").display());
    release.script("verify", &verify);
    server.release(release.dir());
    let devices = ["dev-01", "dev-02", "dev-03"];
    let configs = devices.map(|device| server.add_device(device, &[]));
    let _agents = configs.each_ref().map(|config| server.agent(config));
    for device in &devices[1..] {
        fs::write(broken(device), "").unwrap();
    }
    let body = json!({"release": "app@1.0.0", "group": "unassigned", "attempts": 1});
    client.command_ok("deploy", &body);
    let settled = |view: &Value| view["settled"] == json!(true);
    let first = client.wait_json(&view(1), settled);
    assert_eq!(first["counts"]["failed"], json!(2), "{first}");

    for device in &devices[1..] {
        fs::remove_file(broken(device)).unwrap();
    }
    let installs = |device: &str| {
        let log = format!("{device}.state/work/app/scripts.log");
        let log = fs::read_to_string(server.scratch().join(log)).unwrap();
        log.lines().filter(|line| *line == "install").count()
    };
    server.hoist_ok(&["deployment", "retry", "1", "--device", "dev-02"]);
    client.wait_json(&view(1), successful(2));
    assert_eq!(devices.map(installs), [1, 2, 1]);
    let said = server.hoist_ok(&["deployment", "retry", "1"]);
    assert!(said.contains("1 device begins again, in round 2"), "{said}");
    client.wait_json(&view(1), successful(3));
    assert_eq!(devices.map(installs), [1, 2, 2]);
    let refused = json!({"deployment": 1, "devices": ["dev-01"]});
    assert_eq!(client.command_refused("retry", &refused), "E_NOT_FAILED");
}

#[test]
fn a_server_down_for_longer_than_the_device_timeout_fails_nobody() {
    // S7, bad-inputs row 41
    // A device needs up to half a minute to come back: nothing is concluded before.
    let mut server = Server::start_set("grace = \"1s\"\n");
    let client = operator(&server);
    let (_, gate) = gated(&server, "app");
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let body = json!({"release": "app@1.0.0", "group": "unassigned", "timeoutSecs": TIMEOUT_S});
    client.command_ok("deploy", &body);
    client.wait_json(&view(1), installing);
    drop(client);
    assert!(server.stop().success());
    let down = Instant::now();
    eventually("the device's time to pass", || {
        (down.elapsed() > Duration::from_secs(TIMEOUT_S + 1)).then_some(())
    });
    server.restart();
    let client = operator(&server);
    client.wait_json("hoist/view/group/unassigned", |view| {
        view["online"] == json!(1)
    });
    open(&gate);
    client.wait_json(&view(1), successful(1));
    let topic = view(1);
    for message in client
        .messages()
        .iter()
        .filter(|message| message.topic == topic)
    {
        let view: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(view["counts"]["failed"], json!(0), "{view}");
    }
    assert_eq!(item(&client, 1, "dev-01")["late"], json!(false));
}

#[test]
fn presence_from_before_a_restart_of_the_server_is_not_shown() {
    // W8
    let mut server = Server::start();
    let client = operator(&server);
    let mut agent = server.agent(&server.add_device("dev-01", &[]));
    client.wait_json("hoist/view/group/unassigned", |view| {
        view["online"] == json!(1)
    });
    server.kill();
    agent.kill();
    server.restart();
    let client = operator(&server);
    let shown = client.command_ok("device-show", &json!({"device": "dev-01"}));
    assert_eq!(shown["presence"], json!("unknown"), "{shown}");
    client.wait_json("hoist/view/group/unassigned", |view| {
        view["online"] == json!(0)
    });
}
