//! What becomes of a fleet whose server lost its store, or goes on from an older one.

use std::path::{Path, PathBuf};

use crate::harness::process::{HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    assert!(run("cp", &["-a", from, to]).status.success());
}

/// A stopped server's store, kept for later.
fn store_of(server: &mut Server, name: &str) -> PathBuf {
    assert!(server.stop().success());
    let kept = server.scratch().join(name);
    copy(&server.data().join("store"), &kept);
    kept
}

/// What a start that is refused says.
fn refused_start(data: &Path) -> String {
    let free = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let args = [&["serve", "--data-dir", data.to_str().unwrap()][..], &free].concat();
    let output = run(HOIST, &args);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_server_whose_store_is_older_than_what_it_signed_does_not_start() {
    // bad-inputs row 66
    let mut server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let older = store_of(&mut server, "older");
    server.restart();
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "unassigned"]);
    assert!(server.stop().success());
    let (newer, store) = (server.scratch().join("newer"), server.data().join("store"));
    copy(&store, &newer);
    copy(&older, &store);
    let said = refused_start(&server.data());
    for part in ["error[E_RECOVER]", "group unassigned", "backup"] {
        assert!(said.contains(part), "{part} is in {said}");
    }
    copy(&newer, &store);
    server.restart();
    let shown = server.hoist_ok(&["deployment", "show", "1", "-o", "json"]);
    assert!(shown.contains("\"active\""), "{shown}");
}
