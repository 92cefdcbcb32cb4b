//! A child process that dies with its owner and keeps what it says in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::eventually;

/// Longest time of a program that is run to its end: one that hangs fails its test by name, and does
/// not hold up all others.
const RUN_PATIENCE: Duration = Duration::from_secs(300);

/// The `hoist` program.
pub const HOIST: &str = env!("CARGO_BIN_EXE_run-hoist");
/// The `hoist-agent` program.
pub const AGENT: &str = env!("CARGO_BIN_EXE_run-agent");

/// A running program.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output going to `log`.
    pub fn start(program: &str, args: &[&str], log: &Path) -> Self {
        Self::spawn(Command::new(program).args(args), log)
    }

    /// Starts a prepared command with its output going to `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Starts a prepared command whose errors and log go somewhere else.
    pub fn saying_into(command: &mut Command, place: impl Into<Stdio>) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self {
            child: command.stderr(place).spawn().unwrap(),
            log: PathBuf::new(),
        }
    }

    /// The lines that it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then its exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Its exit status, once it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the program to end", || self.child.try_wait().unwrap())
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.log.display(), self.said());
        }
    }
}

/// Runs a program to its end.
pub fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).finish()
}

/// A command that is run to its end, or to the end of patience.
pub trait Finish {
    /// Its exit status and all that it said.
    fn finish(&mut self) -> Output;
}

impl Finish for Command {
    fn finish(&mut self) -> Output {
        let (stdout, stderr) = (Stdio::piped(), Stdio::piped());
        self.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = self.spawn().unwrap();
        let pid = child.id().to_string();
        let (ended, wait) = mpsc::channel();
        thread::spawn(move || ended.send(child.wait_with_output()));
        wait.recv_timeout(RUN_PATIENCE)
            .unwrap_or_else(|_| {
                end(&pid);
                panic!("{self:?} did not end within {RUN_PATIENCE:?}");
            })
            .unwrap()
    }
}

/// True if an external program is installed. In CI a missing one is a failure.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where a distribution puts what only its services start.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.into_iter().any(|dir| dir.join(program).is_file());
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} is required in CI"
        );
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// The process whose id a script wrote into `file`, once it has.
pub fn pid_in(file: &Path) -> String {
    eventually("a script to say a process id", || {
        let pid = std::fs::read_to_string(file).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    })
}

/// True if a process runs; one that has ended and was not collected yet does not.
pub fn is_running(pid: &str) -> bool {
    Path::new("/proc").join(pid).join("exe").exists()
}

/// Ends a process that a script left behind on purpose.
pub fn end(pid: &str) {
    let ended = Command::new("kill").args(["-KILL", pid]).status().unwrap();
    assert!(ended.success());
}
