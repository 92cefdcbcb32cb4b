//! Every command the README shows runs, as written, on a server of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::process::{AGENT, HOIST, Process, installed};
use crate::harness::{eventually, mqtt::Login};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The commands below a heading of the README.
fn commands(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap();
    let commands = section.lines().filter_map(|line| line.strip_prefix("$ "));
    // What starts the server and shortens names is done by the test itself.
    commands
        .filter(|line| !line.contains("cargo run"))
        .map(str::to_owned)
        .collect()
}

/// A user's folder with a server started as the README says, but on free ports.
struct Desk {
    dir: tempfile::TempDir,
    _server: Process,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir(path.join("bin")).unwrap();
        symlink(HOIST, path.join("bin/hoist")).unwrap();
        symlink(AGENT, path.join("bin/hoist-agent")).unwrap();
        symlink(Path::new(ROOT).join("examples"), path.join("examples")).unwrap();
        let data = path.join("hoist-data");
        let args = ["serve", "--data-dir", data.to_str().unwrap()];
        let free = ["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let server = Process::start(
            HOIST,
            &[&args[..], &free].concat(),
            &path.join("server.log"),
        );
        let ready: Value = eventually("the server to be ready", || {
            serde_json::from_slice(&fs::read(data.join("run.json")).ok()?).ok()
        });
        // The mosquitto clients read their defaults, here the port, from such files.
        let port = ready["mqtt"]
            .as_str()
            .unwrap()
            .rsplit_once(':')
            .unwrap()
            .1
            .to_owned();
        for program in ["mosquitto_rr", "mosquitto_sub"] {
            fs::write(path.join(program), format!("-h 127.0.0.1\n-p {port}\n")).unwrap();
        }
        Self {
            dir,
            _server: server,
        }
    }

    fn sh(&self, script: &str) -> Output {
        let path = self.dir.path();
        let inherited = std::env::var("PATH").unwrap();
        Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(path)
            .env(
                "PATH",
                format!("{}:{inherited}", path.join("bin").display()),
            )
            .env("XDG_CONFIG_HOME", path)
            .output()
            .unwrap()
    }
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout[..], b"\n", &output.stderr].concat();
    String::from_utf8(streams).unwrap()
}

#[test]
fn the_commands_for_a_real_device_work_as_written() {
    let desk = Desk::new();
    let commands = commands("A real device");
    assert_eq!(commands.len(), 5, "{commands:?}");
    // What runs in the background ends with the shell, and must not hold its pipes open.
    let script = commands
        .join("\n")
        .replace(" &", " >agent.log 2>&1 & trap \"kill $!\" EXIT");
    let output = desk.sh(&script);
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("1 of 1 successful"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_commands_without_a_server_work_as_written() {
    let desk = Desk::new();
    let commands = commands("A device without a server");
    assert_eq!(commands.len(), 2, "{commands:?}");
    let output = desk.sh(&commands.join("\n"));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("installed hello 1.0.0"));
}

#[test]
fn the_commands_with_mosquitto_work_as_written() {
    if !installed("mosquitto_rr") || !installed("mosquitto_sub") {
        return;
    }
    let desk = Desk::new();
    let mut commands = commands("Operating it");
    assert_eq!(commands.len(), 3, "{commands:?}");
    // It would watch for ever.
    commands[2].push_str(" -C 1 -W 30");
    let output = desk.sh(&commands.join("\n"));
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(r#""request":"r1","ok":true"#), "{said}");
    assert!(said.contains("hoist/view/"), "{said}");
    let login = Login::read(&desk.dir.path().join("hoist-data/client.toml"));
    assert!(!said.contains(&login.token), "a token is never printed");
}
