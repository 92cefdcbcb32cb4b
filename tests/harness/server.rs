//! A real `hoist serve` in its own data directory, and the operator in front of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::mosquitto::{self, Mosquitto};
use super::mqtt::{Client, Login};
use super::process::{AGENT, HOIST, Process, run};
use super::{eventually, write_private};

/// A server with everything that belongs to one test.
pub struct Server {
    dir: TempDir,
    process: Process,
    mqtt: String,
    http: String,
    more: Vec<String>,
    /// Holds the settings file.
    settings: Option<TempDir>,
    /// The broker, unless it is the server's own. After the process: it is there until the end.
    broker: Option<Mosquitto>,
}

impl Server {
    /// Starts a server on free ports and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub fn start_with(more: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more, &[])
    }

    /// The same with variables, in a folder that may hold something already. Started again, it
    /// has the variables no more.
    pub fn start_in(dir: TempDir, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let broker = mosquitto::is_wanted().then(Mosquitto::start);
        Self::start_at(broker, dir, more, variables)
    }

    /// A server at this broker.
    pub fn start_on(broker: Mosquitto) -> Self {
        Self::start_at(Some(broker), tempfile::tempdir().unwrap(), &[], &[])
    }

    /// The same at a broker of others, if there is one.
    pub fn start_at(
        broker: Option<Mosquitto>,
        dir: TempDir,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let any = "127.0.0.1:0".to_owned();
        let mut more: Vec<String> = more.iter().map(|arg| (*arg).to_owned()).collect();
        more.extend(broker.iter().flat_map(Mosquitto::arguments));
        let mqtt = broker.is_none().then_some(any.as_str());
        let mut process = Self::spawn(dir.path(), (mqtt, &any), &more, variables);
        let ready = wait_ready(dir.path(), &mut process);
        let address = |key: &str| {
            ready[key]
                .as_str()
                .unwrap()
                .split_once("://")
                .unwrap()
                .1
                .to_owned()
        };
        let clear = broker.as_ref().map(Mosquitto::address);
        Self {
            mqtt: clear.unwrap_or_else(|| address("mqtt")),
            http: address("http"),
            dir,
            process,
            more,
            settings: None,
            broker,
        }
    }

    /// Starts a server with these settings (TOML).
    pub fn start_set(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.toml");
        std::fs::write(&file, settings).unwrap();
        let mut server = Self::start_with(&["--config", file.to_str().unwrap()]);
        server.settings = Some(dir);
        server
    }

    fn spawn(
        root: &Path,
        (mqtt, http): (Option<&str>, &str),
        more: &[String],
        variables: &[(&str, &str)],
    ) -> Process {
        let mut command = Command::new(HOIST);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(root.join("data"));
        command.args(mqtt.iter().flat_map(|mqtt| ["--mqtt", *mqtt]));
        command.args(["--http", http]).args(more);
        command.envs(variables.iter().copied());
        Process::spawn(&mut command, &root.join("server.log"))
    }

    /// Starts it again, on the same ports and data.
    fn spawn_again(&mut self) {
        let mqtt = self.broker.is_none().then_some(self.mqtt.as_str());
        let addresses = (mqtt, self.http.as_str());
        self.process = Self::spawn(self.dir.path(), addresses, &self.more, &[]);
    }

    /// Kills the server and starts it again on the same ports and data.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Starts it again on the same ports and data.
    pub fn restart(&mut self) {
        self.restart_unready();
        self.wait_ready();
    }

    /// Starts it again without waiting for anything.
    pub fn restart_unready(&mut self) {
        let ready = self.data().join("run.json");
        let _ = std::fs::remove_file(ready);
        self.spawn_again();
    }

    /// Waits until it is ready.
    pub fn wait_ready(&mut self) {
        wait_ready(self.dir.path(), &mut self.process);
    }

    /// The status and the text of its word on being ready; nothing when it does not listen.
    pub fn readiness(&self) -> Option<(bool, String)> {
        let mut stream = TcpStream::connect(&self.http).ok()?;
        let asked = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(asked).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let ready = answer.starts_with("HTTP/1.1 200");
        assert!(ready || answer.starts_with("HTTP/1.1 503"), "{answer}");
        Some((ready, answer))
    }

    /// Starts it again, and kills it so soon after that.
    pub fn kill_in_start(&mut self, after: Duration) {
        self.kill();
        self.spawn_again();
        // Any moment is as good as another: nothing is waited for.
        std::thread::sleep(after);
        self.kill();
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The broker that is not its own.
    pub fn broker(&mut self) -> &mut Mosquitto {
        self.broker.as_mut().unwrap()
    }

    /// A folder for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `host:port` of MQTT.
    pub fn mqtt(&self) -> &str {
        &self.mqtt
    }

    /// `host:port` of HTTP.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// The administrator's login, from `client.toml`.
    pub fn admin(&self) -> Login {
        Login::read(&self.data().join("client.toml"))
    }

    /// An MQTT client of the administrator.
    pub fn client(&self) -> Client {
        Client::connect(&self.mqtt, "", &self.admin())
    }

    /// Runs `hoist` as the administrator.
    pub fn hoist(&self, args: &[&str]) -> Output {
        let client = self.data().join("client.toml");
        let mut all = vec!["--client", client.to_str().unwrap()];
        all.extend_from_slice(args);
        run(HOIST, &all)
    }

    /// Runs `hoist`, which must succeed, and returns its standard output.
    pub fn hoist_ok(&self, args: &[&str]) -> String {
        let output = self.hoist(args);
        assert!(
            output.status.success(),
            "hoist {args:?} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Packs and uploads a release directory.
    pub fn release(&self, dir: &Path) -> String {
        let data = self.data();
        self.hoist_ok(&[
            "--data-dir",
            data.to_str().unwrap(),
            "release",
            "create",
            dir.to_str().unwrap(),
        ])
    }

    /// Registers a device and writes its `agent.toml`.
    pub fn add_device(&self, device: &str, more: &[&str]) -> PathBuf {
        let mut args = vec!["device", "add", device];
        args.extend_from_slice(more);
        let config = self.scratch().join(format!("{device}.toml"));
        write_private(&config, self.hoist_ok(&args));
        config
    }

    /// Starts the real agent of a configuration.
    pub fn agent(&self, config: &Path) -> Process {
        let log = config.with_extension("log");
        Process::start(AGENT, &["--config", config.to_str().unwrap()], &log)
    }
}

fn wait_ready(root: &Path, process: &mut Process) -> Value {
    let ready = root.join("data/run.json");
    eventually("the server to be ready", || {
        if let Some(status) = process.ended() {
            panic!("the server ended with {status}:\n{}", process.said());
        }
        serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()
    })
}
