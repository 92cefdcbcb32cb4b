//! A server beside its keys when the store is lost, or only a part of it is there.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::process::{HOIST, run};
use crate::harness::server::Server;
use crate::recovery::{copy, json_of, refused_start};

/// A stopped server's data directory, with a device in it.
fn stopped() -> Server {
    let mut server = Server::start();
    server.hoist_ok(&["device", "add", "d1"]);
    assert!(server.stop().success());
    server
}

/// `hoist recover` where nobody answers.
pub fn recovered(data: &Path) -> Value {
    let free = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    json_of(&[&["recover", "--wait", "1s"][..], &free].concat(), data)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn beside_its_keys_a_server_makes_no_store_of_its_own() {
    // bad-inputs row 66
    let server = stopped();
    let (data, store) = (server.data(), server.data().join("store"));
    let specs = data.join("specs");
    std::fs::remove_dir_all(&store).unwrap();
    for has_specs in [true, false] {
        // A volume that is not mounted, or a copy that was cut off.
        std::fs::create_dir_all(&store).unwrap();
        let said = refused_start(&data);
        for part in ["error[E_RECOVER]", "hoist restore", "hoist recover"] {
            assert!(said.contains(part), "{part} is in {said}");
        }
        assert!(is_empty(&store), "specs are there: {has_specs}");
        std::fs::remove_dir_all(&specs).unwrap();
        std::fs::create_dir(&specs).unwrap();
    }
}

#[test]
fn a_backup_is_restored_where_the_folder_of_the_store_is_empty() {
    // bad-inputs row 66
    let server = stopped();
    let data = server.data();
    let backup = server.scratch().join("fleet.tar");
    let file = backup.to_str().unwrap();
    let made = json_of(&["backup", "--out", file], &data);
    std::fs::remove_dir_all(data.join("store")).unwrap();
    std::fs::create_dir(data.join("store")).unwrap();
    let restored = json_of(&["restore", file], &data);
    assert_eq!(restored["rows"], made["rows"]);
    assert_eq!(restored["movedAside"], json!(null), "nothing was there");
    recovered(&data);
    let checked = json_of(&["store", "check"], &data);
    assert_eq!(checked["devices"], 1, "{checked}");
}

#[test]
fn a_store_that_is_only_in_part_there_is_recovered_and_no_server_starts_before() {
    // bad-inputs row 66
    let server = stopped();
    let (data, store) = (server.data(), server.data().join("store"));
    let kept = server.scratch().join("kept");
    std::fs::remove_file(store.join("FORMAT")).unwrap();
    std::fs::remove_dir_all(data.join("specs")).unwrap();
    copy(&store, &kept);
    let said = refused_start(&data);
    assert!(
        said.contains("E_STORE_DAMAGED") && said.contains("hoist recover"),
        "{said}"
    );
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let data_text = data.to_str().unwrap();
    let cut = [
        "recover",
        "--data-dir",
        data_text,
        "--wait",
        "1s",
        "--mqtt",
        &taken,
        "--http",
        &taken,
    ];
    assert!(!run(HOIST, &cut).status.success(), "its port is taken");
    let said = refused_start(&data);
    assert!(
        said.contains("E_RECOVER") && said.contains("a recovery is not over"),
        "{said}"
    );
    let told = recovered(&data);
    assert_eq!(
        told["movedAside"],
        json!(null),
        "the first try moved it: {told}"
    );
    let aside = data.join("store.lost-1");
    assert_eq!(
        std::fs::read(aside.join("db")).unwrap(),
        std::fs::read(kept.join("db")).unwrap()
    );
    let mut server = server;
    server.restart();
    assert_eq!(
        server
            .hoist_ok(&["device", "list", "-o", "json"])
            .matches("\"d1\"")
            .count(),
        0
    );
}
