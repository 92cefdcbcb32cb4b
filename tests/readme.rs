//! Every command the README shows runs, as written, on a server of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::process::{Finish, HOIST, Process, installed};
use crate::harness::{eventually, mqtt::Login};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The blocks of commands below a heading of the README.
fn blocks(heading: &str) -> Vec<Vec<String>> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap();
    let blocks = section.split("```console\n").skip(1);
    let commands = |block: &str| {
        let lines = block.lines().take_while(|line| !line.starts_with("```"));
        let commands = lines.filter_map(|line| line.strip_prefix("$ "));
        commands.map(str::to_owned).collect()
    };
    blocks.map(commands).collect()
}

/// The commands of the only block below a heading.
fn commands(heading: &str) -> Vec<String> {
    let mut blocks = blocks(heading);
    assert_eq!(blocks.len(), 1, "{heading}");
    blocks.remove(0)
}

/// Where cargo puts what it builds: this test was built there.
fn target() -> PathBuf {
    let profile = Path::new(HOIST).parent().unwrap();
    profile.parent().unwrap().to_owned()
}

/// Builds the programs as the README says, once, where this test was built: everything
/// below them is there already, and cargo holds no lock while it runs tests.
fn build(command: &str) {
    static BUILT: OnceLock<String> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let output = Command::new("sh")
            .args(["-e", "-c", command])
            .current_dir(ROOT)
            .env("CARGO_TARGET_DIR", target())
            .finish();
        assert!(output.status.success(), "{}", text(&output));
        command.to_owned()
    });
    assert_eq!(built, command, "there is one way to build it");
}

/// A reader's folder with a server started as the README says, on free ports.
struct Desk {
    around: tempfile::TempDir,
    _server: Process,
}

impl Desk {
    fn new() -> Self {
        Self::serving(&blocks("A real device")[0][2])
    }

    /// The same with a server that is started otherwise.
    fn serving(serve: &str) -> Self {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("hoist");
        fs::create_dir(&path).unwrap();
        symlink(target(), path.join("target")).unwrap();
        symlink(Path::new(ROOT).join("examples"), path.join("examples")).unwrap();
        fs::write(
            around.path().join("settings"),
            "mqtt = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n",
        )
        .unwrap();
        let first = &blocks("A real device")[0];
        let [cargo, export, _] = &first[..] else {
            panic!("{first:?}");
        };
        build(cargo);
        // The server is to end with the test, not with the shell.
        let script = format!("{export}\nexec {serve}");
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script]);
        let server = Process::spawn(
            in_folder(&mut shell, around.path()),
            &around.path().join("server.log"),
        );
        let ready: Value = eventually("the server to be ready", || {
            serde_json::from_slice(&fs::read(path.join("hoist-data/run.json")).ok()?).ok()
        });
        // The mosquitto clients read their defaults, here the port, from such files.
        let mqtt = ready["mqtt"].as_str().unwrap();
        let (_, port) = mqtt.rsplit_once(':').unwrap();
        for program in ["mosquitto_rr", "mosquitto_sub"] {
            let defaults = format!("-h 127.0.0.1\n-p {port}\n");
            fs::write(around.path().join(program), defaults).unwrap();
        }
        Self {
            around,
            _server: server,
        }
    }

    fn path(&self) -> PathBuf {
        self.around.path().join("hoist")
    }

    /// Types commands into a terminal where the programs are on PATH.
    fn sh(&self, commands: &[String]) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &commands.join("\n")]);
        in_folder(&mut shell, self.around.path()).finish()
    }
}

fn in_folder<'a>(shell: &'a mut Command, around: &Path) -> &'a mut Command {
    shell
        .current_dir(around.join("hoist"))
        .env("HOIST_CONFIG", around.join("settings"))
        .env("XDG_CONFIG_HOME", around)
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout[..], b"\n", &output.stderr].concat();
    String::from_utf8(streams).unwrap()
}

#[test]
fn the_commands_for_a_real_device_work_as_written_and_leave_nothing_to_commit() {
    let desk = Desk::new();
    let blocks = blocks("A real device");
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    // What runs in the background ends with the shell, and must not hold its pipes open.
    let background = " >../agent.log 2>&1 & trap \"kill $!\" EXIT";
    let commands: Vec<String> = blocks[1]
        .iter()
        .map(|line| line.replace(" &", background))
        .collect();
    let output = desk.sh(&commands);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("1 of 1 successful"), "{said}");
    if !installed("git") {
        return;
    }
    let path = desk.path();
    fs::copy(Path::new(ROOT).join(".gitignore"), path.join(".gitignore")).unwrap();
    let git = ["git init --quiet", "git add --all --dry-run"].map(str::to_owned);
    let output = desk.sh(&git);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).trim(), "add '.gitignore'\nadd 'examples'");
}

/// The README's remote set-up on one machine: the host that the server has there is this one.
fn on_loopback(command: &str) -> String {
    command.replace("fleet.example.com", "localhost")
}

/// The text of a log, once it says something.
fn says(log: &Path, word: &str) -> String {
    eventually(word, || {
        let said = fs::read_to_string(log).ok()?;
        said.contains(word).then_some(said)
    })
}

#[test]
fn the_commands_for_devices_elsewhere_work_as_written_and_a_revocation_is_seen_within_a_second() {
    let blocks = blocks("Devices elsewhere");
    assert_eq!(blocks.len(), 4, "{blocks:?}");
    let all: usize = blocks.iter().map(Vec::len).sum();
    assert!(all <= 8, "{all} commands");
    let [serve] = &blocks[0][..] else {
        panic!("{blocks:?}");
    };
    let desk = Desk::serving(&on_loopback(serve));
    // Every terminal has the programs on PATH.
    let export = self::blocks("A real device")[0][1].clone();
    let typed = |block: &[String]| {
        let output = desk.sh(&[std::slice::from_ref(&export), block].concat());
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    typed(&blocks[1]);
    // The device has a folder of its own, with the text and nothing else, and no settings.
    let device = desk.around.path().join("device");
    fs::create_dir(&device).unwrap();
    fs::copy(desk.path().join("site-a.txt"), device.join("site-a.txt")).unwrap();
    let [enroll, run] = &blocks[2][..] else {
        panic!("{blocks:?}");
    };
    let path = std::env::join_paths(
        [desk.path().join("target/debug")]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let at_device = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]);
        shell
            .current_dir(&device)
            .env("PATH", path.as_ref().unwrap());
        shell
    };
    let enrolled = at_device(enroll).finish();
    assert!(enrolled.status.success(), "{}", text(&enrolled));
    let config = fs::read_to_string(device.join("pump-1.toml")).unwrap();
    assert!(
        config.contains("mqtts://localhost:") && !config.contains("token"),
        "{config}"
    );
    let log = device.join("agent.log");
    // The agent is to end with the test, not with the shell.
    let run = format!("exec {}", run.trim_end_matches(" &"));
    let _agent = Process::spawn(&mut at_device(&run), &log);
    says(&log, "connected");
    let [deploy, revoke] = &blocks[3][..] else {
        panic!("{blocks:?}");
    };
    typed(std::slice::from_ref(deploy));
    let status = ["hoist status 1 --timeout 60s".to_owned()];
    assert!(typed(&status).contains("1 of 1 successful"));
    typed(std::slice::from_ref(revoke));
    let revoked = Instant::now();
    let said = says(&log, "E_REVOKED");
    let took = revoked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}: {said}");
}

#[test]
fn the_commands_without_a_server_work_as_written() {
    let desk = Desk::new();
    let mut all = vec![blocks("A real device")[0][1].clone()];
    let commands = commands("A device without a server");
    assert_eq!(commands.len(), 2, "{commands:?}");
    all.extend(commands);
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &all.join("\n")]);
    // The agent reads its own settings, not those of the server.
    let output = in_folder(&mut shell, desk.around.path())
        .env_remove("HOIST_CONFIG")
        .finish();
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
    let output = desk.sh(&commands);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(r#""request":"r1","ok":true"#), "{said}");
    assert!(said.contains("hoist/view/"), "{said}");
    let login = Login::read(&desk.path().join("hoist-data/client.toml"));
    assert!(!said.contains(&login.token), "a token is never printed");
}
