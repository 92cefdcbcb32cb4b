//! Questions to the server, each by a `hoist` of its own, as an operator asks.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Failed, HOIST, pause, until};

/// Asks the server of a data directory, whether it runs at the moment or not.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    data: PathBuf,
}

impl Asker {
    /// For the server of this data directory.
    pub(crate) fn new(data: PathBuf) -> Self {
        Self { data }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.args([HOIST, "--data-dir"]).arg(&self.data);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Result<Output, Failed> {
        Ok(self.command().args(words).output()?)
    }

    /// Asks, and does not wait for the answer, which is JSON.
    pub(crate) fn begin_ask(&self, words: &[String]) -> Result<Child, Failed> {
        let mut command = self.command();
        command.args(words).args(["-o", "json"]);
        Ok(command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// The answer to a command, or the reason why the command fails.
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

    /// The same in JSON, or nothing when it takes longer than this.
    pub(crate) fn ask_within(&self, words: &[&str], time: Duration) -> Result<Value, Failed> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut asked = self.begin_ask(&words)?;
        let mut answer = asked.stdout.take().ok_or("no pipe to read from")?;
        let read = thread::spawn(move || {
            let mut text = Vec::new();
            answer.read_to_end(&mut text).map(|_| text)
        });
        let began = Instant::now();
        while asked.try_wait()?.is_none() && began.elapsed() < time {
            pause(20);
        }
        let _already_gone = asked.kill();
        asked.wait()?;
        let text = read.join().map_err(|_| "the reader of an answer died")??;
        Ok(serde_json::from_slice(&text)?)
    }

    /// An answer in JSON.
    pub(crate) fn ask_json(&self, words: &[&str]) -> Result<Value, Failed> {
        let words = [words, &["-o", "json"]].concat();
        Ok(serde_json::from_str(&self.ask(&words)?)?)
    }

    /// All deployments, as a list of them shows them.
    pub(crate) fn deployments(&self) -> Result<Vec<Value>, Failed> {
        let listed = self.ask_json(&["deployment", "list"])?;
        let each = listed.as_array().ok_or("the list of deployments is none")?;
        Ok(each.clone())
    }

    /// The server's view of a deployment. Showing one that has failures is not a success.
    pub(crate) fn view(&self, number: u32) -> Result<Value, Failed> {
        let output = self.run(&["deployment", "show", &number.to_string(), "-o", "json"])?;
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}
