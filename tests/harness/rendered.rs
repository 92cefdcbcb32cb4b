//! A data directory and a Mosquitto by the files that `hoist broker render` makes of it: two
//! listeners, TLS, passwords and rules for everybody.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use hoist_broker_config::render::mosquitto::CONFIG;
use serde_json::Value;
use tempfile::TempDir;

use super::eventually;
use super::mosquitto::{program, read_again, wait_open};
use super::process::{Finish, HOIST, Process, run};

/// The first of three ports that nobody listens at, and that the system gives to nobody.
fn free_ports() -> u16 {
    eventually("three ports in a row", || {
        let random = RandomState::new().hash_one(0_u8);
        let first = 20_000 + 3 * u16::try_from(random % 4_000).unwrap();
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        (first..first + 3).all(is_free).then_some(first)
    })
}

/// Both of it.
pub struct Site {
    // Before its folder: it is there until the end.
    broker: Option<Process>,
    dir: TempDir,
    port: u16,
    more: Vec<String>,
}

impl Site {
    /// A data directory and the files of its broker, which does not run yet.
    pub fn new(more: &[&str]) -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_ports(),
            more: more.iter().map(ToString::to_string).collect(),
            broker: None,
        };
        let mut first = site.serve(&["--mqtt", "127.0.0.1:0"]);
        site.wait_ready(&mut first);
        assert!(first.terminate().success());
        site.render();
        site
    }

    /// The same with its broker running.
    pub fn start() -> Self {
        let mut site = Self::new(&[]);
        site.run_broker(str::to_owned);
        site
    }

    /// Has the files made, of a server that runs or not.
    pub fn render(&self) -> Output {
        let (out, port) = (self.files(), self.port.to_string());
        let mut args = vec![
            "broker",
            "render",
            "mosquitto",
            "--out",
            out.to_str().unwrap(),
        ];
        args.extend([
            "--listen",
            "127.0.0.1",
            "--name",
            "127.0.0.1",
            "--port",
            &port,
        ]);
        args.extend(self.more.iter().map(String::as_str));
        self.hoist_ok(&args)
    }

    /// Runs the broker by its configuration as this makes it.
    pub fn run_broker(&mut self, change: impl Fn(&str) -> String) {
        self.broker = None;
        let config = std::fs::read_to_string(self.files().join(CONFIG)).unwrap();
        let config = format!("user root\nlog_type all\n{}", change(&config));
        std::fs::write(self.broker_config(), config).unwrap();
        self.broker = Some(self.start_broker());
    }

    fn broker_config(&self) -> PathBuf {
        self.dir.path().join("broker.conf")
    }

    fn start_broker(&self) -> Process {
        let (path, log) = (self.broker_config(), self.dir.path().join("broker.log"));
        let mut process = Process::start(&program(), &["-c", path.to_str().unwrap()], &log);
        let config = std::fs::read_to_string(path).unwrap();
        let listeners = config
            .lines()
            .filter_map(|line| line.strip_prefix("listener "));
        for listener in listeners {
            let port = listener.split(' ').next().unwrap();
            wait_open(&mut process, port.parse().unwrap());
        }
        process
    }

    /// Has the broker read its lists again.
    pub fn read_again(&self) {
        read_again(self.broker.as_ref().unwrap());
    }

    /// What the doctor finds when it has the broker restarted, and its exit code. The command asks
    /// for the restart, and the test does it.
    pub fn doctor_with_restart(&mut self) -> (Value, i32) {
        let (ask, done) = (
            self.dir.path().join("restart"),
            self.dir.path().join("done"),
        );
        let (asked, told) = (ask.display(), done.display());
        let command = format!("touch {asked}; until [ -e {told} ]; do sleep 0.05; done");
        let doctor = self.doctor_command(&["--restart", &command]);
        let doctor = thread::spawn(move || examined({ doctor }.finish()));
        eventually("the doctor to have the broker restarted", || {
            (ask.exists() || doctor.is_finished()).then_some(())
        });
        let mut broker = self.broker.take().unwrap();
        broker.terminate();
        self.broker = Some(self.start_broker());
        std::fs::write(done, "").unwrap();
        doctor.join().unwrap()
    }

    /// The log of the broker.
    pub fn broker_said(&self) -> String {
        self.broker.as_ref().unwrap().said()
    }

    /// The folder of the broker's files.
    pub fn files(&self) -> PathBuf {
        self.dir.path().join("broker")
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The port of devices; people have the next one, devices with certificates the one after.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The flags by which the broker is named.
    pub fn broker_flags(&self) -> [String; 6] {
        let at = |port| format!("mqtts://127.0.0.1:{port}");
        let ca = self.files().join("ca.pem").display().to_string();
        [
            "--broker".to_owned(),
            at(self.port + 1),
            "--device-broker".to_owned(),
            at(self.port),
            "--broker-ca".to_owned(),
            ca,
        ]
    }

    /// The file with the orchestrator's password.
    pub fn orchestrator_token(&self) -> String {
        self.files()
            .join("orchestrator.token")
            .display()
            .to_string()
    }

    /// Starts a server in the data directory.
    pub fn serve(&self, more: &[&str]) -> Process {
        let log = self.dir.path().join("server.log");
        let mut command = Command::new(HOIST);
        command.arg("serve").arg("--data-dir").arg(self.data());
        command.args(["--http", "127.0.0.1:0"]).args(more);
        command.env("HOIST_TOKEN_FILE", self.orchestrator_token());
        if !Path::new(&self.orchestrator_token()).exists() {
            command.env_remove("HOIST_TOKEN_FILE");
        }
        let _old = std::fs::remove_file(self.data().join("run.json"));
        Process::spawn(&mut command, &log)
    }

    /// Starts one that works with the broker.
    pub fn serve_beside(&self, more: &[&str]) -> Process {
        let flags = self.broker_flags();
        let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
        all.extend_from_slice(more);
        self.serve(&all)
    }

    /// Waits until a server is ready.
    pub fn wait_ready(&self, server: &mut Process) {
        let ready = self.data().join("run.json");
        eventually("the server to be ready", || {
            if let Some(status) = server.ended() {
                panic!("the server ended with {status}:\n{}", server.said());
            }
            ready.exists().then_some(())
        });
    }

    /// Runs `hoist` at the data directory.
    pub fn hoist(&self, args: &[&str]) -> Output {
        let data = self.data().display().to_string();
        let mut all = vec!["--data-dir", data.as_str()];
        all.extend_from_slice(args);
        run(HOIST, &all)
    }

    /// The same, which must succeed.
    pub fn hoist_ok(&self, args: &[&str]) -> Output {
        let output = self.hoist(args);
        assert!(output.status.success(), "hoist {args:?}: {output:?}");
        output
    }

    /// What the doctor finds at the broker, and its exit code.
    pub fn doctor(&self) -> (Value, i32) {
        examined(self.doctor_command(&[]).finish())
    }

    /// The same of a broker where devices come in elsewhere.
    pub fn doctor_at(&self, devices: &str) -> (Value, i32) {
        let mut command = self.doctor_command(&[]);
        let other = |arg: &OsStr| match arg == OsStr::new(&self.broker_flags()[3]) {
            true => devices.to_owned(),
            false => arg.to_str().unwrap().to_owned(),
        };
        let args: Vec<String> = command.get_args().map(other).collect();
        command = Command::new(HOIST);
        examined(command.args(args).finish())
    }

    fn doctor_command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(HOIST);
        command.arg("--data-dir").arg(self.data());
        command.args(["doctor", "-o", "json", "--orchestrator-token"]);
        command.arg(self.orchestrator_token());
        command.args(self.broker_flags()).args(more);
        command
    }
}

/// A report and the exit code.
fn examined(output: Output) -> (Value, i32) {
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{output:?}"));
    (report, output.status.code().unwrap())
}
