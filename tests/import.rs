//! A fleet comes from a spreadsheet: all of it or nothing, every fault by its line, and
//! once more changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::server::Server;

fn case(name: &str) -> String {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases");
    cases.join(name).to_str().unwrap().to_owned()
}

fn server_with_sites() -> Server {
    let server = Server::start();
    for group in ["site-a", "site-b"] {
        server.hoist_ok(&["group", "create", group]);
    }
    server
}

fn devices(server: &Server) -> Vec<Value> {
    let list = server.hoist_ok(&["device", "list", "-o", "json"]);
    serde_json::from_str(&list).unwrap()
}

#[test]
fn a_fleet_from_a_spreadsheet_is_registered_once_and_its_agents_can_run() {
    let server = server_with_sites();
    let out = server.scratch().join("agents");
    let file = case("fleet.csv");
    let import = ["device", "import", &file, "--out", out.to_str().unwrap()];
    let would = server.hoist_ok(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(would, "4 devices would be added; nothing was changed\n");
    assert!(devices(&server).is_empty() && !out.exists());
    let said = server.hoist_ok(&import);
    let dir = out.display();
    assert_eq!(said, format!("4 devices added; 4 files written to {dir}\n"));
    let listed: Vec<(String, String)> = devices(&server)
        .iter()
        .map(|item| {
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            (text("device"), text("group"))
        })
        .collect();
    let expected = [
        ("pump-01", "site-a"),
        ("pump-02", "site-a"),
        ("pump-03", "site-b"),
        ("pump-04", "site-b"),
    ];
    let expected = expected.map(|(device, group)| (device.to_owned(), group.to_owned()));
    assert_eq!(listed, expected);
    let config = out.join("pump-02.toml");
    let mode = std::fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::metadata(&config).unwrap().modified().unwrap();
    let again = server.hoist_ok(&import);
    let nothing = "nothing to add: 4 as the file says already; 0 files written to";
    assert_eq!(again, format!("{nothing} {dir}\n"));
    let still = std::fs::metadata(&config).unwrap().modified().unwrap();
    assert_eq!(still, written);
    // Whatever else its owner says in a file stays; one of another life is written anew.
    let said = std::fs::read_to_string(&config).unwrap();
    let own = format!("{said}keep_alive = \"45s\"\n");
    std::fs::write(&config, &own).unwrap();
    let other = out.join("pump-01.toml");
    std::fs::write(&other, said.replace("token = \"", "token = \"not-")).unwrap();
    let again = server.hoist_ok(&import);
    assert!(
        again.ends_with(&format!("1 file written to {dir}\n")),
        "{again}"
    );
    assert_eq!(std::fs::read_to_string(&config).unwrap(), own);
    let other = std::fs::read_to_string(&other).unwrap();
    assert!(
        other.contains("device = \"pump-01\"") && !other.contains("\"not-"),
        "{other}"
    );
    let _agent = server.agent(&config);
    crate::harness::eventually("the imported device to be online", || {
        let shown = server.hoist_ok(&["device", "show", "pump-02", "-o", "json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        (shown["presence"] == json!("online") && shown["type"] == json!("pump")).then_some(())
    });
}

#[test]
fn a_fleet_with_faults_is_refused_as_a_whole_with_every_line() {
    let server = server_with_sites();
    let output = server.hoist(&["device", "import", &case("fleet-bad.csv")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error[E_CSV]"), "{said}");
    assert!(
        said.contains("nothing was imported, 2 lines are wrong"),
        "{said}"
    );
    assert!(
        said.contains("\n  line 2: ") && said.contains("':'"),
        "{said}"
    );
    assert!(
        said.contains("\n  line 3: there is no group nowhere"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
    assert!(devices(&server).is_empty());
}

#[test]
fn a_fleet_of_many_commands_is_completed_by_running_it_again() {
    let server = server_with_sites();
    let file = server.scratch().join("fleet.csv");
    let write = |lines: std::ops::Range<u32>, group: &str| {
        let line = |n| format!("device-{n:04},pump,{group},\n");
        let lines: String = lines.map(line).collect();
        std::fs::write(&file, format!("id,type,group,labels\n{lines}")).unwrap();
    };
    let import = |more: &[&str]| {
        let args = ["device", "import", file.to_str().unwrap(), "-o", "json"];
        let output = server.hoist(&[&args[..], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.success() {
            true => Ok(serde_json::from_slice::<Vec<Value>>(&output.stdout).unwrap()),
            false => Err(said),
        }
    };
    let states = |items: &[Value], state: &str| {
        let of = |item: &&Value| item["state"] == json!(state);
        items.iter().filter(of).count()
    };
    // As after a run that broke off in the middle.
    write(0..70, "site-a");
    assert_eq!(states(&import(&[]).unwrap(), "added"), 70);
    write(0..130, "site-a");
    let items = import(&[]).unwrap();
    assert_eq!(
        (states(&items, "unchanged"), states(&items, "added")),
        (70, 60)
    );
    assert!(items.iter().all(|item| item["token"].is_string()));
    write(60..140, "site-b");
    let said = import(&[]).unwrap_err();
    assert!(said.contains("70 lines are wrong"), "{said}");
    let registered = "device-0060 is registered in group site-a";
    assert!(said.contains(&format!("line 2: {registered}")), "{said}");
    assert!(said.contains("and 50 more lines"), "{said}");
    assert!(said.contains("--skip-existing"), "{said}");
    assert_eq!(devices(&server).len(), 130);
    let items = import(&["--skip-existing"]).unwrap();
    assert_eq!(states(&items, "added"), 10);
    assert_eq!(devices(&server).len(), 140);
}

#[test]
fn where_a_file_cannot_be_written_nothing_is_registered_and_the_same_command_completes_it() {
    let server = server_with_sites();
    let out = server.scratch().join("agents");
    let blocked = out.join("pump-03.toml");
    std::fs::create_dir_all(&blocked).unwrap();
    let file = case("fleet.csv");
    let import = ["device", "import", &file, "--out", out.to_str().unwrap()];
    for more in [&[][..], &["--dry-run"]] {
        let refused = server.hoist(&[&import[..], more].concat());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("nothing was imported"), "{said}");
        assert!(said.contains("pump-03.toml"), "{said}");
        assert!(devices(&server).is_empty());
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    }
    std::fs::remove_dir(&blocked).unwrap();
    let said = server.hoist_ok(&import);
    assert!(
        said.starts_with("4 devices added; 4 files written"),
        "{said}"
    );
    // One that is lost later is written again.
    std::fs::remove_file(&blocked).unwrap();
    let said = server.hoist_ok(&import);
    assert!(
        said.contains("4 as the file says already; 1 file written"),
        "{said}"
    );
    assert!(blocked.is_file());
}

#[test]
fn a_device_is_added_with_a_file_of_its_owner_only_that_replaces_no_other_devices() {
    let server = Server::start();
    let file = server.scratch().join("dev-01.agent.toml");
    let path = file.to_str().unwrap();
    let add = |device: &str| server.hoist(&["device", "add", device, "--out", path]);
    let added = add("dev-01");
    let said = String::from_utf8(added.stdout).unwrap();
    assert!(added.status.success(), "{:?}", added.stderr);
    let flat: Vec<&str> = said.split_whitespace().collect();
    assert!(flat.join(" ").contains("dev-01 is registered"), "{said}");
    assert!(!said.contains("token"), "{said}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&file).unwrap();
    // Standard output has the same text without the flag.
    assert_eq!(server.hoist_ok(&["device", "add", "dev-01"]), written);
    // Once more changes nothing, also not what its owner added.
    let own = format!("{written}keep_alive = \"45s\"\n");
    std::fs::write(&file, &own).unwrap();
    assert!(add("dev-01").status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), own);
    let refused = add("dev-02");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(said.contains("is the agent.toml of dev-01"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), own);
    assert_eq!(devices(&server).len(), 1, "nothing was registered");
}
