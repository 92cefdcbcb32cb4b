//! A simulated fleet is all there or not there at all, under ids of its own.

use serde_json::{Value, json};

use crate::harness::process::{HOIST, Process};
use crate::harness::server::Server;

fn devices(server: &Server) -> Vec<String> {
    let list = server.hoist_ok(&["device", "list", "-o", "name"]);
    list.lines().map(str::to_owned).collect()
}

#[test]
fn a_fleet_with_an_id_that_somebody_has_is_refused_and_leaves_nothing() {
    let server = Server::start();
    server.add_device("pump-00003", &[]);
    let args = [
        "sim",
        "--devices",
        "20",
        "--prefix",
        "pump",
        "--group",
        "new",
    ];
    let refused = server.hoist(&args);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(8), "{said}");
    assert!(
        said.contains("pump-00003") && said.contains("--prefix"),
        "{said}"
    );
    assert_eq!(devices(&server), ["pump-00003"]);
    let groups = server.hoist_ok(&["group", "list", "-o", "name"]);
    assert!(!groups.contains("new"), "{groups}");
}

#[test]
fn a_fleet_that_runs_is_not_taken_over_and_one_that_was_kept_stays() {
    let server = Server::start();
    let client = server.data().join("client.toml");
    let sim = |log: &str, more: &[&str]| {
        let args = ["--client", client.to_str().unwrap(), "sim", "--devices"];
        let args = [&args[..], more].concat();
        Process::start(HOIST, &args, &server.scratch().join(log))
    };
    let watch = server.client();
    assert!(watch.subscribe("hoist/view/#"));
    let online = |count: u32| {
        watch.wait_json("hoist/view/group/sim", |view: &Value| {
            view["online"] == json!(count)
        });
    };
    let mut kept = sim("kept.log", &["3", "--keep"]);
    online(3);
    let refused = server.hoist(&["sim", "--devices", "5"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(8), "{said}");
    assert!(said.contains("sim-00001 is online already"), "{said}");
    assert_eq!(devices(&server).len(), 3, "nothing was registered");
    assert!(kept.terminate().success());
    online(0);
    // Nobody runs it any more: it is taken over, and what was there before stays.
    let mut later = sim("later.log", &["5"]);
    online(5);
    assert!(later.terminate().success());
    let said = later.said();
    assert!(said.contains("3 of them by an earlier run"), "{said}");
    assert_eq!(devices(&server), ["sim-00001", "sim-00002", "sim-00003"]);
}

#[test]
fn a_prefix_names_the_fleet_and_must_be_part_of_an_id() {
    let server = Server::start();
    let refused = server.hoist(&["sim", "--devices", "2", "--prefix", "a/b"]);
    assert_eq!(refused.status.code(), Some(2));
    let data = server.data();
    let client = data.join("client.toml");
    let args = [
        "--client",
        client.to_str().unwrap(),
        "sim",
        "--devices",
        "3",
        "--prefix",
        "pump",
    ];
    let mut sim = Process::start(HOIST, &args, &server.scratch().join("sim.log"));
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    client.wait_json("hoist/view/group/sim", |view: &Value| {
        view["online"] == json!(3)
    });
    assert_eq!(devices(&server), ["pump-00001", "pump-00002", "pump-00003"]);
    assert!(sim.terminate().success());
    assert!(devices(&server).is_empty());
}
