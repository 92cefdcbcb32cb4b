//! Answers to somebody who types something wrong, or may not do it: in the words of every other
//! error, in 80 columns, and never the wrong thing to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::harness::process::{AGENT, HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_command_line_that_is_none_is_an_error_like_every_other() {
    for (line, says) in [
        (
            "deploy a@1",
            "--group <GROUP>\nhelp: write it as `hoist deploy",
        ),
        (
            "device shwo d",
            "'shwo'\nhelp: did you mean show? see `hoist device --help`",
        ),
        (
            "status x",
            "as `hoist deployment list` shows it\nhelp: see `hoist",
        ),
    ] {
        let output = run(HOIST, &line.split(' ').collect::<Vec<_>>());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.starts_with("error[E_USAGE]: "), "{line}: {said}");
        assert!(
            said.contains(says) && said.lines().count() == 2,
            "{line}: {said}"
        );
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns_whatever_is_said_of_the_terminal() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["device", "import", "--help"],
        &["deploy", "--help"],
        &["sim", "-h"],
    ] {
        let output = run(HOIST, args);
        let help = String::from_utf8(output.stdout).unwrap();
        let wide: Vec<&str> = help
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{args:?}: {wide:?}");
        let own = help.find("--help").unwrap();
        assert!(
            own < help.find("Options of every command:").unwrap(),
            "{args:?}"
        );
    }
    let help = String::from_utf8(run(HOIST, &["--help"]).stdout).unwrap();
    assert!(help.ends_with("  130  interrupted\n"), "{help}");
    for args in [&["apply", "--help"][..], &["--help"]] {
        let output = run(AGENT, args);
        assert!(output.status.success(), "{args:?}");
    }
}

#[test]
fn a_folder_that_is_no_data_directory_is_not_one_that_lost_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let out = dir.path().join("b.tar");
    for command in [
        &["store", "check"][..],
        &["backup", "--out", out.to_str().unwrap()],
    ] {
        let output = run(HOIST, &[command, &["--data-dir", nowhere]].concat());
        let said = said(&output);
        assert!(said.starts_with("error[E_DATA_DIR]: "), "{said}");
        assert!(
            !said.contains("restore") && said.contains("--data-dir"),
            "{said}"
        );
    }
}

#[test]
fn a_log_level_that_does_not_exist_is_no_setting() {
    let mut show = Command::new(HOIST);
    let shown = show
        .args(["config", "show"])
        .env("HOIST_LOG", "frob")
        .output();
    let shown = shown.unwrap();
    assert_eq!(shown.status.code(), Some(2), "{}", said(&shown));
    assert!(
        said(&shown).contains("variable HOIST_LOG"),
        "{}",
        said(&shown)
    );
}

#[test]
fn whoever_may_not_look_into_the_data_directory_is_told_whose_it_is() {
    let server = Server::start();
    // Root may look everywhere: it becomes somebody who may not.
    let mut list = Command::new(HOIST);
    list.args(["device", "list"])
        .env("HOIST_DATA_DIR", server.data());
    list.env_remove("HOME");
    let is_root = String::from_utf8(run("id", &["-u"]).stdout).unwrap().trim() == "0";
    let mode = |mode| fs::set_permissions(server.data(), fs::Permissions::from_mode(mode)).unwrap();
    if is_root {
        list.uid(65_534).gid(65_534);
    } else {
        mode(0o000);
    }
    let listed = list.output();
    mode(0o700);
    // Somebody else may not even start a program that lies in a private folder.
    let Ok(listed) = listed else { return };
    let said = said(&listed);
    assert_eq!(listed.status.code(), Some(2), "{said}");
    assert!(said.contains("permission denied"), "{said}");
    assert!(
        said.contains("sudo -u ") && said.contains("--client"),
        "{said}"
    );
    assert!(!said.contains("hoist serve"), "{said}");
}

#[test]
fn a_backup_for_which_there_is_no_folder_names_the_folder_and_how_to_make_it() {
    let server = Server::start();
    let folder = server.scratch().join("backups");
    let out = folder.join("b.tar");
    let data = server.data();
    let data = ["--data-dir", data.to_str().unwrap()];
    let output = server.hoist(&[&["backup", "--out", out.to_str().unwrap()], &data[..]].concat());
    let said = said(&output);
    let folder = folder.display().to_string();
    assert!(
        said.starts_with("error[E_FILE]: there is no folder "),
        "{said}"
    );
    assert!(
        said.contains(&format!("install -d -m 0700 -o hoist {folder}`")),
        "{said}"
    );
    assert!(!said.contains(".new"), "{said}");
}

#[test]
fn an_upload_for_which_there_is_no_room_is_refused_by_the_servers_code_and_words() {
    let server = Server::start_set("upload_quota_mib = 1\n");
    let content = "x".repeat(2 << 20);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, &content);
    let dir = release.dir().to_str().unwrap();
    let key = server.data().join("keys/release.key");
    let key = key.to_str().unwrap();
    let output = server.hoist(&["release", "create", dir, "--key", key]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error[E_SPACE]: the upload was refused: "),
        "{said}"
    );
    assert!(
        said.contains("1.0 MiB at most") && said.contains("\nhelp: "),
        "{said}"
    );
    assert!(!said.contains('{'), "{said}");
}

#[test]
fn a_counter_that_is_not_above_what_is_there_is_warned_about() {
    let server = Server::start();
    let key = server.data().join("keys/release.key");
    let key = key.to_str().unwrap();
    for (version, warned) in [("1.0.0", false), ("1.1.0", true), ("1.0.0", true)] {
        let name = format!("app-{version}-{warned}");
        let dir = server.scratch().join(name);
        fs::create_dir_all(&dir).unwrap();
        let release = Release::write(&dir, "app", version, 1, version);
        let dir = release.dir().to_str().unwrap();
        let create = ["release", "create", dir, "--key", key];
        for more in [&["--dry-run"][..], &[]] {
            let output = server.hoist(&[&create[..], more].concat());
            let said = said(&output);
            assert!(output.status.success(), "{said}");
            assert_eq!(said.contains("is not above that of app@"), warned, "{said}");
        }
    }
}

#[test]
fn whatever_does_not_exist_is_not_found() {
    let server = Server::start();
    for line in [
        "enroll revoke c-1",
        "enroll create --group none --dry-run",
        "device show none",
        "device why none",
        "device approve none",
        "device revoke none",
        "device token rotate none",
        "device hold none",
        "device move none --group unassigned",
        "device remove none --yes",
        "device add d1 --group none",
        "group remove none",
        "user remove none --yes",
        "release show none@1",
        "release remove none@1 --yes",
        "deploy none@1 --group unassigned",
        "deployment show 99",
        "deployment abort 99 --yes",
        "deployment retry 99",
        "status 99",
        "explain E_NONE",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let refused = server.hoist(&args);
        assert_eq!(refused.status.code(), Some(7), "{line}: {refused:?}");
    }
}

#[test]
fn a_time_or_a_number_that_cannot_be_is_told_its_bounds_and_an_example() {
    for (line, bounds) in [
        ("enroll create --uses 0", "from 1 to 1000000, such as 500"),
        ("enroll create --uses -3", "from 1 to 1000000, such as 500"),
        ("enroll create --expires 11y", "from 1s to 10y, such as 30d"),
        ("enroll create --expires 5", "from 1s to 10y, such as 30d"),
        (
            "device token rotate d1 --overlap 1y",
            "from 0s to 90d, such as 1h",
        ),
        ("deploy a@1 --group g --attempts 0", "from 1 on, such as 3"),
        ("deploy a@1 --group g --limit 0", "from 1 on, such as 100"),
        (
            "deploy a@1 --group g --per-minute 0",
            "from 1 on, such as 1000",
        ),
        (
            "deploy a@1 --group g --max-in-progress -1",
            "from 1 on, such as 200",
        ),
        (
            "deploy a@1 --group g --device-timeout 1ms",
            "from 1s to 100y, such as 24h",
        ),
        ("status 1 --timeout soon", "from 0s to 100y, such as 10m"),
        ("sim --devices 0", "from 1 to 99999, such as 1000"),
        ("demo --devices 1", "from 3 to 1000, such as 25"),
        ("recover --wait 5", "from 0s to 100y, such as 5m"),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let refused = run(HOIST, &args);
        let said = said(&refused)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(refused.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(bounds), "{line}: {said}");
    }
}
