//! A data directory and a Mosquitto by the files that `hoist broker render` makes of it: two
//! listeners, TLS, passwords and rules for everybody.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hoist_broker_config::render::mosquitto::CONFIG;
use serde_json::Value;
use tempfile::TempDir;

use super::eventually;
use super::mosquitto::{program, read_again, wait_open};
use super::process::{HOIST, Process, run};

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
        let pid = self.dir.path().join("broker.pid");
        let own = format!("user root\nlog_type all\npid_file {}\n", pid.display());
        let config = format!("{own}{}", change(&config));
        let path = self.dir.path().join("broker.conf");
        std::fs::write(&path, config).unwrap();
        let log = self.dir.path().join("broker.log");
        let mut process = Process::start(&program(), &["-c", path.to_str().unwrap()], &log);
        wait_open(&mut process, self.port);
        self.broker = Some(process);
    }

    /// Has the broker read its lists again.
    pub fn read_again(&self) {
        read_again(self.broker.as_ref().unwrap());
    }

    /// A command that restarts the broker, which is this one's no more then.
    pub fn restart_command(&self) -> String {
        let pid = self.broker.as_ref().unwrap().pid();
        let config = self.dir.path().join("broker.conf");
        format!(
            "kill {pid}; while [ -e /proc/{pid}/exe ]; do sleep 0.05; done; {} -d -c {}",
            program(),
            config.display()
        )
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
        self.doctor_with(&[])
    }

    /// The same with more arguments.
    pub fn doctor_with(&self, more: &[&str]) -> (Value, i32) {
        let (flags, token) = (self.broker_flags(), self.orchestrator_token());
        let mut args = vec!["doctor", "-o", "json", "--orchestrator-token", &token];
        args.extend(flags.iter().map(String::as_str));
        args.extend_from_slice(more);
        let output = self.hoist(&args);
        let report = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|_| panic!("{output:?}"));
        (report, output.status.code().unwrap())
    }
}

impl Drop for Site {
    /// One that was restarted is nobody's child.
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.dir.path().join("broker.pid"));
        let own = self.broker.as_ref().map(|broker| broker.pid().to_string());
        if let Some(pid) = pid.ok().filter(|pid| Some(pid.trim()) != own.as_deref()) {
            let _ended = run("kill", &[pid.trim()]);
        }
    }
}
