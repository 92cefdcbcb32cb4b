//! Tokens on standard output, and files that a command is told to write: a token reaches its
//! owner alone or nobody, and nothing that is not ours is replaced.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};

use crate::harness::process::{AGENT, HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::write_private;

/// Runs `hoist` as the administrator with its results going there.
fn into(server: &Server, args: &[&str], place: impl Into<Stdio>) -> Output {
    let mut command = Command::new(HOIST);
    command
        .arg("--client")
        .arg(server.data().join("client.toml"));
    command.args(args).stdin(Stdio::null()).stdout(place);
    command.stderr(Stdio::piped()).output().unwrap()
}

fn device(path: &str) -> File {
    File::options().write(true).open(path).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_token_that_reaches_nobody_is_an_error_which_says_what_to_do() {
    let server = Server::start();
    let add = |user: &'static str| ["user", "add", user, "--role", "viewer"];
    let lost = into(&server, &add("ux1"), device("/dev/full"));
    assert_eq!(lost.status.code(), Some(1));
    assert!(said(&lost).contains("user ux1 exists"), "{}", said(&lost));
    assert!(
        said(&lost).contains("`hoist user remove ux1 --yes`"),
        "{}",
        said(&lost)
    );
    server.hoist_ok(&["user", "remove", "ux1", "--yes"]);
    let (reader, unread) = std::io::pipe().unwrap();
    drop(reader);
    let lost = into(&server, &add("ux2"), unread);
    assert!(said(&lost).contains("user ux2 exists"), "{}", said(&lost));
    let nowhere = into(&server, &add("ux3"), Stdio::null());
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        said(&nowhere).contains("nothing was changed"),
        "{}",
        said(&nowhere)
    );
    let client = server.data().join("client.toml");
    let closed = format!(
        "{HOIST} --client {} user add ux3 --role viewer >&-",
        client.display()
    );
    assert_eq!(run("sh", &["-c", &closed]).status.code(), Some(1));
    assert_eq!(
        server.hoist_ok(&["user", "list", "-o", "name"]),
        "admin\nux2\n"
    );
    let lost = into(&server, &["device", "add", "d1"], device("/dev/full"));
    assert_eq!(lost.status.code(), Some(1));
    assert!(
        said(&lost).contains("the same command again"),
        "{}",
        said(&lost)
    );
}

#[test]
fn a_redirection_of_a_token_is_its_owners_alone_and_an_agent_starts_with_nothing_else() {
    // bad-inputs row 70
    let server = Server::start();
    let config = server.scratch().join("dev-01.toml");
    let mode = |mode| fs::set_permissions(&config, fs::Permissions::from_mode(mode)).unwrap();
    let check = || {
        run(
            AGENT,
            &["check-config", "--config", config.to_str().unwrap()],
        )
    };
    let file = File::create(&config).unwrap();
    mode(0o644);
    assert!(
        into(&server, &["device", "add", "dev-01"], file)
            .status
            .success()
    );
    let made = fs::metadata(&config).unwrap().permissions().mode();
    assert_eq!(made & 0o777, 0o600);
    assert!(check().status.success());
    for open in [0o644, 0o666] {
        mode(open);
        let refused = check();
        assert!(!refused.status.success());
        let said = said(&refused);
        assert!(
            said.contains("E_EXPOSED") && said.contains("chmod 600"),
            "{said}"
        );
        let stays = fs::metadata(&config).unwrap().permissions().mode();
        assert_eq!(stays & 0o777, open, "it is not mended in silence");
    }
}

#[test]
fn what_is_no_file_and_what_is_the_servers_is_never_replaced() {
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let data = server.data();
    let data_dir = data.to_str().unwrap();
    let place = |name: &str| server.scratch().join(name).to_str().unwrap().to_owned();
    fs::write(place("precious"), "precious").unwrap();
    symlink(place("precious"), place("link")).unwrap();
    let users = fs::read(data.join("users.toml")).unwrap();
    let release = release.dir().to_str().unwrap();
    for out in [
        "/dev/full".to_owned(),
        "-".to_owned(),
        place("link"),
        place("data/users.toml"),
        place("data/keys/backup.tar"),
    ] {
        for args in [
            &["backup"][..],
            &["release", "create", release, "--no-upload"],
            &["device", "add", "d1"],
        ] {
            let tail = ["--out", &out, "--data-dir", data_dir];
            let refused = run(HOIST, &[args, &tail].concat());
            assert!(!refused.status.success(), "{args:?} {out}");
            let said = said(&refused);
            assert!(said.contains("E_FILE") && said.contains("--out"), "{said}");
        }
    }
    let refused = run(
        HOIST,
        &[
            "backup",
            "--out",
            &place("precious"),
            "--data-dir",
            data_dir,
        ],
    );
    assert!(
        said(&refused).contains("is no backup"),
        "{}",
        said(&refused)
    );
    assert_eq!(fs::read_to_string(place("precious")).unwrap(), "precious");
    assert!(fs::symlink_metadata(place("link")).unwrap().is_symlink());
    assert_eq!(fs::read(data.join("users.toml")).unwrap(), users);
    let backup = [
        "backup",
        "--out",
        &place("fleet.tar"),
        "--data-dir",
        data_dir,
    ];
    for _ in 0..2 {
        let made = run(HOIST, &backup);
        assert!(made.status.success(), "{}", said(&made));
    }
}

#[test]
fn rows_are_asked_for_as_the_user_that_was_named() {
    let server = Server::start();
    let place = |name: &str| server.scratch().join(name).to_str().unwrap().to_owned();
    let viewer = server.hoist_ok(&["user", "add", "guest", "--role", "viewer"]);
    write_private(place("guest.toml").as_ref(), viewer);
    let data = server.data();
    let (data, fleet, broker) = (data.to_str().unwrap(), place("fleet.tar"), place("broker"));
    for (client, code, says) in [
        (place("guest.toml"), 4, "E_ROLE"),
        (place("nothing.toml"), 2, "nothing.toml"),
    ] {
        for args in [
            &["backup", "--out", &fleet][..],
            &["broker", "render", "mosquitto", "--out", &broker],
        ] {
            let named = ["--data-dir", data, "--client", &client];
            let refused = run(HOIST, &[args, &named].concat());
            let told = said(&refused);
            assert_eq!(refused.status.code(), Some(code), "{args:?} {told}");
            assert!(told.contains(says), "{told}");
        }
    }
    assert!(!std::path::Path::new(&fleet).exists());
    let admin = data.to_owned() + "/client.toml";
    let args = [
        "backup",
        "--out",
        &fleet,
        "--data-dir",
        data,
        "--client",
        &admin,
    ];
    assert!(run(HOIST, &args).status.success());
}
