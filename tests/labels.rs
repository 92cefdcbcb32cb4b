//! Labels are set on one device, and on all that a selector names, also when the server is killed
//! meanwhile.

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::server::Server;

fn items(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let said = server.hoist_ok(&[arguments, &["-o", "json"]].concat());
    match serde_json::from_str(&said).unwrap() {
        Value::Array(items) => items,
        other => panic!("no list: {other}"),
    }
}

fn selected(server: &Server, selector: &str) -> Vec<String> {
    let items = items(server, &["device", "list", "--selector", selector]);
    let names = items.iter().map(|item| item["device"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// Devices `pump-000` and so on, the first of them in the south.
fn fleet(server: &Server, count: usize) {
    let line = |number: usize| {
        let site = if number == 0 { "south" } else { "north" };
        format!("pump-{number:03},site={site}\n")
    };
    let table: String = (0..count).map(line).collect();
    let path = server.scratch().join("fleet.csv");
    std::fs::write(&path, format!("id,labels\n{table}")).unwrap();
    let out = server.scratch().join("out");
    let (path, out) = (path.to_str().unwrap(), out.to_str().unwrap());
    server.hoist_ok(&["device", "import", path, "--out", out]);
}

#[test]
fn labels_are_set_listed_and_moved_by_selector() {
    let server = Server::start();
    fleet(&server, 70);
    let said = server.hoist_ok(&["device", "label", "pump-001", "ring=canary"]);
    assert_eq!(said, "pump-001: ring=canary site=north\n");
    let label = ["device", "label", "--selector", "site=north,!ring"];
    let would = server.hoist_ok(&[&label[..], &["ring=rest", "--dry-run"]].concat());
    assert_eq!(would, "68 devices are selected; nothing was changed\n");
    let said = server.hoist_ok(&[&label[..], &["ring=rest", "site-"]].concat());
    assert_eq!(said, "68 devices changed\n");
    assert_eq!(selected(&server, "ring=rest,!site").len(), 68);
    assert_eq!(
        selected(&server, "site in (north,south)"),
        ["pump-000", "pump-001"]
    );

    server.hoist_ok(&["group", "create", "canaries"]);
    let to = [
        "device",
        "move",
        "--selector",
        "ring=canary",
        "--group",
        "canaries",
    ];
    assert_eq!(server.hoist_ok(&to), "1 device changed\n");
    assert_eq!(
        items(&server, &["device", "list", "--group", "canaries"]).len(),
        1
    );
    let passes = items(&server, &["device", "passes"]);
    assert_eq!(passes.len(), 2);
    assert_eq!(passes[1]["what"], json!("move"));

    let refused = server.hoist(&["device", "list", "--selector", "site in (north"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error[E_SELECTOR]: column 15"), "{said}");
}

#[test]
fn a_change_of_many_devices_is_carried_out_though_the_server_is_killed() {
    let mut server = Server::start();
    fleet(&server, 300);
    let body = json!({"selector": "!none", "set": {"ring": "a"}});
    let begun = server.client().command_ok("device-label", &body);
    assert_eq!(begun["pass"], json!(1));
    server.kill_and_restart();
    eventually("every device to be changed", || {
        let passes = items(&server, &["device", "passes"]);
        (!passes[0]["endedAt"].is_null()).then_some(())
    });
    assert_eq!(selected(&server, "ring=a").len(), 300);
    let passes = items(&server, &["device", "passes"]);
    assert_eq!(passes[0]["changed"], json!(300));
}

#[test]
fn a_dynamic_group_takes_in_whom_labels_put_there_before_and_after_and_over_a_killed_server() {
    let mut server = Server::start();
    fleet(&server, 100);
    let body = json!({"group": "south", "selector": "site=south"});
    server.client().command_ok("group-create", &body);
    let body = json!({"group": "north", "selector": "site=north"});
    server.client().command_ok("group-create", &body);
    server.kill_and_restart();
    let members = |group: &str| items(&server, &["device", "list", "--group", group]).len();
    eventually("every device to be placed", || {
        (members("north") == 99).then_some(())
    });
    assert_eq!(members("south"), 1);
    server.hoist_ok(&["device", "label", "--selector", "site=north", "site=south"]);
    assert_eq!((members("north"), members("south")), (0, 100));
    server.hoist_ok(&["device", "label", "pump-000", "site-"]);
    let shown = server.hoist_ok(&["device", "show", "pump-001"]);
    assert!(shown.contains("its labels fit the group"), "{shown}");
    let refused = server.hoist(&["device", "move", "pump-001", "--group", "unassigned"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("error[E_DYNAMIC]"), "{said}");
    assert!(server.hoist_ok(&["group", "list"]).contains("site=south"));
}
