//! The server refuses what it must not start on, and ends cleanly.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::eventually;
use crate::harness::process::{HOIST, Process, run};
use crate::harness::server::Server;

fn serve(data: &std::path::Path, more: &[&str]) -> (Option<i32>, String) {
    let mut args = vec!["serve", "--data-dir", data.to_str().unwrap()];
    args.extend_from_slice(more);
    let output = run(HOIST, &args);
    assert!(output.stdout.is_empty(), "stdout stays empty");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused_and_names_the_first() {
    // bad-inputs row 63
    let server = Server::start();
    let ready = std::fs::read_to_string(server.data().join("run.json")).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let (code, said) = serve(
        &server.data(),
        &["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("E_LOCKED") && said.contains(&ready["pid"].to_string()),
        "{said}"
    );
    server.hoist_ok(&["group", "list"]);
}

#[test]
fn a_port_in_use_is_refused_by_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = serve(
        &dir.path().join("a"),
        &["--mqtt", &address, "--http", "127.0.0.1:0"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("E_PORT") && said.contains(&address), "{said}");
    let (code, said) = serve(
        &dir.path().join("b"),
        &["--mqtt", "127.0.0.1:0", "--http", &address],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("E_PORT") && said.contains(&address), "{said}");
}

#[test]
fn a_server_that_is_asked_to_stop_before_it_is_ready_stops_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    // Nobody is there, so that it is never ready.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let broker = format!("mqtt://{}", nobody.unwrap());
    let mut serve = Command::new(HOIST);
    serve.args(["serve", "--data-dir", data.to_str().unwrap()]);
    serve.args(["--http", "127.0.0.1:0", "--broker", &broker]);
    let mut server = Process::spawn(&mut serve, &log);
    eventually("the server to look for its broker", || {
        let said = server.said();
        said.contains("cannot connect to the broker").then_some(())
    });
    assert!(server.terminate().success(), "{}", server.said());
    let said = server.said();
    let last = said.lines().next_back().unwrap();
    assert!(last.contains("stopped"), "{said}");
    assert!(!said.contains("ERROR"), "{said}");
    assert!(said.contains("stopping: a signal asks for it"), "{said}");
}

#[test]
fn an_address_others_can_reach_is_refused_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = serve(&dir.path().join("a"), &["--mqtt", "0.0.0.0:0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("E_INSECURE"), "{said}");
}

#[test]
fn a_store_that_is_gone_is_never_silently_started_empty() {
    // bad-inputs row 62
    let mut server = Server::start();
    server.hoist_ok(&["group", "create", "eu"]);
    assert!(server.stop().success());
    std::fs::remove_dir_all(server.data().join("store")).unwrap();
    let (code, said) = serve(
        &server.data(),
        &["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("store") && said.contains("help:"), "{said}");
}

#[test]
fn secrets_are_readable_by_their_owner_only_and_the_ready_file_goes_at_the_end() {
    let mut server = Server::start();
    let mode = |path: &str| {
        let meta = std::fs::metadata(server.data().join(path)).unwrap();
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for file in [
        "client.toml",
        "users.toml",
        "keys/root.key",
        "keys/release.key",
        "keys/token.key",
    ] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    crate::harness::eventually("it to say that it is ready", || {
        let said = server.process().said();
        let ready = said.lines().any(|line| line.starts_with("ready mqtt://"));
        ready.then_some(())
    });
    assert!(server.stop().success(), "SIGTERM ends with 0");
    assert!(!server.data().join("run.json").exists());
    server.restart();
    server.hoist_ok(&["group", "list"]);
}

/// The files below a folder with their rights: everything that others may is a fault.
fn open_to_others(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.permissions().mode() & 0o077 != 0 {
            found.push(entry.path());
        }
        if meta.is_dir() {
            open_to_others(&entry.path(), found);
        }
    }
}

#[test]
fn in_a_directory_that_was_there_and_is_open_everything_of_ours_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    std::fs::create_dir(&data).unwrap();
    open(&data);
    let mut server = Server::start_in(dir, &[], &[]);
    server.hoist_ok(&["group", "create", "eu"]);
    let mut found = Vec::new();
    open_to_others(&data, &mut found);
    assert!(found.is_empty(), "while it runs: {found:?}");
    assert!(server.stop().success());
    // As an earlier version left them.
    std::fs::create_dir_all(data.join("tls")).unwrap();
    let folders = std::fs::read_dir(&data).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        open(&folder);
    }
    server.restart();
    open_to_others(&data, &mut found);
    assert!(found.is_empty(), "after the next start: {found:?}");
}

#[test]
fn something_odd_in_the_place_of_the_users_stops_nobody() {
    // bad-inputs row 80
    let server = Server::start();
    let users = server.data().join("users.toml");
    let client = server.client();
    assert!(client.subscribe("hoist/view/health"));
    std::fs::remove_file(&users).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&users)
            .status()
            .unwrap()
            .success()
    );
    client.wait_json("hoist/view/health", |view| {
        view["problems"][0]["about"] == serde_json::json!("users.toml")
    });
    server.hoist_ok(&["group", "create", "eu"]);
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn health_is_served_to_anybody_and_commands_by_http_need_a_token() {
    let server = Server::start();
    let ask = |head: &str, more: &str, body: &str| {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        let request =
            format!("{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("GET /livez", "", "").starts_with("HTTP/1.1 200"));
    assert!(ask("GET /readyz", "", "").starts_with("HTTP/1.1 200"));
    let post = "POST /api/v1/group-list";
    assert!(ask(post, "Content-Length: 0\r\n", "").starts_with("HTTP/1.1 401"));
    let login = format!(
        "Content-Length: 2\r\nIdempotency-Key: h1\r\nAuthorization: Bearer {}\r\n",
        server.admin().token
    );
    let answer = ask(post, &login, "{}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"unassigned\""), "{answer}");
}
