//! A backup brings everything back or changes nothing, also when it is cut off.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::process::{Finish, HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::lost_store::recovered;
use crate::recovery::{copy, json_of, refused_start};
use crate::store_faults::library;

/// A stopped server with a device, a release and a backup of all of it.
fn backed_up() -> (Server, PathBuf) {
    let mut server = Server::start();
    server.hoist_ok(&["device", "add", "d1"]);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let file = server.scratch().join("fleet.tar");
    json_of(&["backup", "--out", file.to_str().unwrap()], &server.data());
    assert!(server.stop().success());
    (server, file)
}

fn restore(file: &Path, data: &Path) -> Command {
    let mut command = Command::new(HOIST);
    command.args([
        "restore",
        file.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    command
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_restore_that_was_cut_off_anywhere_is_repeated_and_nothing_goes_on_from_its_half() {
    // bad-inputs row 66
    let (server, file) = backed_up();
    let counted = server.scratch().join("counted");
    let whole = server.scratch().join("whole");
    let in_folder = |data: &Path| {
        let mut command = restore(&file, data);
        command
            .env("LD_PRELOAD", library())
            .env("HOIST_FAULT_DIR", data);
        command
    };
    let output = in_folder(&whole)
        .env("HOIST_FAULT_COUNT", &counted)
        .finish();
    assert!(output.status.success(), "{output:?}");
    let calls = std::fs::metadata(&counted).unwrap().len();
    assert!(calls > 40, "{calls} calls: the library counts too few");
    for at in (1..calls).step_by(usize::try_from(calls / 24).unwrap()) {
        let data = server.scratch().join(format!("cut-{at}"));
        let cut = in_folder(&data)
            .env("HOIST_FAULT_AT", at.to_string())
            .env("HOIST_FAULT_CALLS", "1000000")
            .env("HOIST_FAULT_ERRNO", "28")
            .finish();
        said(&cut);
        if data.join("recovery").exists() && data.join("keys").exists() {
            let refused = refused_start(&data);
            assert!(refused.contains("E_RECOVER"), "{at}: {refused}");
        }
        if data.join("store.new").exists() {
            let recover = run(HOIST, &["recover", "--data-dir", data.to_str().unwrap()]);
            let refused = said(&recover);
            assert!(refused.contains("hoist restore"), "{at}: {refused}");
        }
        let again = restore(&file, &data).finish();
        assert!(again.status.success(), "{at}: {again:?}");
        let checked = json_of(&["store", "check"], &data);
        assert_eq!(checked["devices"], 1, "{at}: {checked}");
        for name in ["keys/token.key", "keys/root.key", "users.toml"] {
            let [back, own] =
                [&data, &server.data()].map(|data| std::fs::read(data.join(name)).unwrap());
            assert_eq!(back, own, "{at}: {name}");
        }
    }
    recovered(&whole);
}

#[test]
fn a_restore_that_is_refused_has_changed_nothing() {
    // bad-inputs row 66
    let (server, file) = backed_up();
    let data = server.data();
    std::fs::write(data.join("store/db"), "nothing").unwrap();
    for key in ["root.bin", "token.key"] {
        let other = server.scratch().join(format!("other-{key}"));
        copy(&data, &other);
        if key == "token.key" {
            // Only some of the keys are there.
            std::fs::remove_file(other.join("keys/root.bin")).unwrap();
        }
        let path = other.join("keys").join(key);
        let mut content = std::fs::read(&path).unwrap();
        content[0] = if content[0] == b'0' { b'1' } else { b'0' };
        std::fs::write(&path, content).unwrap();
        let refused = said(&restore(&file, &other).finish());
        assert!(
            refused.contains("E_KEY") && refused.contains(key),
            "{refused}"
        );
        assert!(refused.contains("nothing was changed"), "{refused}");
        let kept = std::fs::read(other.join("store/db")).unwrap();
        assert_eq!(kept, b"nothing", "the damaged store is where it was");
        assert!(!other.join("recovery").exists() && !other.join("store.new").exists());
    }
}

#[test]
fn a_backup_whose_keys_are_damaged_or_missing_is_refused() {
    // bad-inputs row 66
    let (server, file) = backed_up();
    let whole = std::fs::read(&file).unwrap();
    let text = |bytes: &[u8], name: &str| {
        let found = bytes
            .windows(name.len())
            .position(|part| part == name.as_bytes());
        found.unwrap()
    };
    let into = server.scratch().join("into");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let refused = said(&restore(&file, &into).finish());
        assert!(refused.contains("E_FILE"), "{refused}");
        assert!(!into.exists(), "nothing is made: {refused}");
        refused
    };
    let mut damaged = whole.clone();
    damaged[text(&whole, "keys/token.key") + 512] ^= 1;
    let why = refused(&damaged);
    assert!(why.contains("keys/token.key"), "{why}");
    let (root, next) = (text(&whole, "keys/root.bin"), text(&whole, "keys/root.key"));
    let without = [&whole[..root], &whole[next..]].concat();
    let why = refused(&without);
    assert!(why.contains("keys/root.bin"), "{why}");
    let list = text(&whole, "backup.sums");
    let unlisted = [&whole[..list], &[0; 1024]].concat();
    refused(&unlisted);
}
