//! The server that is killed, and what is asked of it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Failed, HOIST, free_port, until};

/// How long one question may last.
const ASK: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    data: PathBuf,
    log: PathBuf,
    mqtt: u16,
    http: u16,
    process: Child,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Result<Self, Failed> {
        let (data, log) = (dir.join("data"), dir.join("server.log"));
        let (mqtt, http) = (free_port()?, free_port()?);
        let process = serve(&data, &log, mqtt, http)?;
        let server = Self {
            data,
            log,
            mqtt,
            http,
            process,
        };
        server.wait_ready()?;
        Ok(server)
    }

    /// Its MQTT port.
    pub(crate) fn mqtt(&self) -> u16 {
        self.mqtt
    }

    pub(crate) fn kill_and_start(&mut self) -> Result<(), Failed> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = serve(&self.data, &self.log, self.mqtt, self.http)?;
        Ok(())
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Failed> {
        signal(&self.process, name)
    }

    /// It ends as it is asked to.
    pub(crate) fn stop(mut self) -> Result<(), Failed> {
        self.signal("TERM")?;
        let ended = self.process.wait()?;
        if ended.success() {
            return Ok(());
        }
        Err(format!("the server ended with {ended}").into())
    }

    pub(crate) fn wait_ready(&self) -> Result<(), Failed> {
        until("the server is ready", || {
            Ok(self.is_ready().unwrap_or(false))
        })
    }

    fn is_ready(&self) -> Result<bool, Failed> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http))?;
        stream.set_read_timeout(Some(ASK))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    }

    /// The client file of its first administrator, with another MQTT port.
    pub(crate) fn client_file(&self, port: u16) -> Result<String, Failed> {
        let text = std::fs::read_to_string(self.data.join("client.toml"))?;
        Ok(text.replace(&format!(":{}", self.mqtt), &format!(":{port}")))
    }

    fn run(&self, words: &[&str]) -> Result<Output, Failed> {
        let output = Command::new(std::env::current_exe()?)
            .args([HOIST, "--data-dir"])
            .arg(&self.data)
            .args(words)
            .stdin(Stdio::null())
            .output()?;
        Ok(output)
    }

    /// What a command says, or why it fails.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<String, Failed> {
        let output = self.run(words)?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(String::from_utf8_lossy(&output.stderr).into())
    }

    /// Asks until it is done.
    pub(crate) fn insist(&self, words: &[&str]) -> Result<(), Failed> {
        let mut why = Ok(());
        let done = until("a command is done", || {
            why = self.ask(words).map(drop);
            Ok(why.is_ok())
        });
        done.map_err(|late| format!("{late}: {words:?}: {why:?}").into())
    }

    /// An answer in JSON.
    pub(crate) fn ask_json(&self, words: &[&str]) -> Result<Value, Failed> {
        let words = [words, &["-o", "json"]].concat();
        Ok(serde_json::from_str(&self.ask(&words)?)?)
    }

    /// Whether every deployment up to this number is.
    pub(crate) fn is_settled(&self, deployments: u32) -> Result<bool, Failed> {
        for number in 1..=deployments {
            let shown = self.view(number)?;
            if shown["settled"] != Value::Bool(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is known of a deployment. Showing one that has failures is not a success.
    pub(crate) fn view(&self, number: u32) -> Result<Value, Failed> {
        let output = self.run(&["deployment", "show", &number.to_string(), "-o", "json"])?;
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_waited = self.process.wait();
    }
}

fn serve(data: &Path, log: &Path, mqtt: u16, http: u16) -> Result<Child, Failed> {
    let log = File::options().create(true).append(true).open(log)?;
    let child = Command::new(std::env::current_exe()?)
        .args([HOIST, "serve", "--data-dir"])
        .arg(data)
        .args(["--mqtt", &format!("127.0.0.1:{mqtt}")])
        .args(["--http", &format!("127.0.0.1:{http}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// Sends a signal by its name.
pub(crate) fn signal(process: &Child, name: &str) -> Result<(), Failed> {
    let pid = process.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
    if sent.success() {
        return Ok(());
    }
    Err(format!("no signal {name} to {pid}").into())
}
