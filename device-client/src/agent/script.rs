//! Runs one script of an artifact: its own process group, a clean environment, no input,
//! bounded output, a timeout. Whatever the script does, the call ends: it never waits for
//! a daemon that keeps the output open.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hoist_protocol::status::{OUTPUT_BYTES_MAX, ScriptExit};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::program::why_not_started;

/// Output kept of one run: enough to see what went wrong, small on any device.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// `PATH` of a script; nothing else of our environment reaches it.
pub const SCRIPT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The time after its end for which a script's last output is awaited: it is in the pipe already,
/// only a daemon outside the group keeps the pipe open longer.
const DRAIN: Duration = Duration::from_millis(200);
/// Another thread that forks while the script's file is open for writing makes it "busy"
/// until that child has started its own program: a matter of milliseconds.
const BUSY_RETRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// One run of a script.
#[derive(Debug, Clone)]
pub struct ScriptCall {
    /// The name of the script for people: `scripts/install`.
    pub name: String,
    /// The script's file, absolute.
    pub program: PathBuf,
    /// Its working directory; must exist.
    pub cwd: PathBuf,
    /// Its environment, beside [`SCRIPT_PATH`]; later ones take the place of earlier ones.
    pub env: Vec<(String, String)>,
    /// The time that it may run before its process group gets TERM.
    pub timeout: Duration,
    /// The time between TERM and KILL.
    pub grace: Duration,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptResult {
    /// The exit of the script.
    pub exit: ScriptExit,
    /// Its last output, at most [`OUTPUT_BYTES_MAX`] bytes, for the outcome.
    pub tail: Vec<u8>,
    /// Its output (both streams, in order), the last [`LOG_BYTES_MAX`] bytes.
    pub log: Vec<u8>,
    /// The processes that it left running.
    pub left: Left,
}

/// The processes that still ran when a script had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Processes of its group: they were killed.
    pub killed: bool,
    /// A process with a session of its own that holds the script's output open: it lives on.
    pub living: bool,
}

/// Runs a script to its end. Dropping the future kills the process group.
pub async fn run(call: &ScriptCall) -> ScriptResult {
    let mut log = Log::default();
    let mut left = Left::default();
    let exit = match start(call).await {
        Ok((child, output)) => supervise(call, child, output, &mut log, &mut left).await,
        Err(error) => {
            log.push(why_not_started(&call.name, &call.program, &error).as_bytes());
            ScriptExit::NotStarted
        }
    };
    ScriptResult {
        exit,
        tail: log.tail(),
        log: log.0,
        left,
    }
}

async fn start(call: &ScriptCall) -> io::Result<(Child, pipe::Receiver)> {
    for _ in 0..BUSY_RETRIES {
        match spawn(call) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                sleep(BUSY_PAUSE).await;
            }
            result => return result,
        }
    }
    spawn(call)
}

fn spawn(call: &ScriptCall) -> io::Result<(Child, pipe::Receiver)> {
    // One pipe for both streams keeps their order.
    let (reader, writer) = io::pipe()?;
    let child = Command::new(&call.program)
        .current_dir(&call.cwd)
        .env_clear()
        .env("PATH", SCRIPT_PATH)
        .envs(call.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    Ok((child, pipe::Receiver::from_owned_fd(reader.into())?))
}

async fn supervise(
    call: &ScriptCall,
    mut child: Child,
    mut output: pipe::Receiver,
    log: &mut Log,
    left: &mut Left,
) -> ScriptExit {
    let group = Group(child.id());
    let mut deadline = Instant::now() + call.timeout;
    let mut stopping = Stopping::No;
    let mut buffer = [0; 4096];
    let mut open = true;
    let ended = loop {
        tokio::select! {
            status = child.wait() => break status,
            read = output.read(&mut buffer), if open => match read {
                Ok(count) if count > 0 => log.push(&buffer[..count]),
                _ => open = false,
            },
            () = sleep_until(deadline), if stopping != Stopping::Killed => {
                let (signal, next) = match stopping {
                    Stopping::No => (Signal::TERM, Stopping::Asked),
                    Stopping::Asked | Stopping::Killed => (Signal::KILL, Stopping::Killed),
                };
                group.signal(signal);
                stopping = next;
                deadline = Instant::now() + call.grace;
            }
        }
    };
    left.killed = group.lives();
    // What the script left behind in its group must not outlive it.
    drop(group);
    let drain = async {
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            log.push(&buffer[..count]);
        }
    };
    if open {
        // Passing the time means that a process outside the group keeps the pipe open.
        left.living = timeout(DRAIN, drain).await.is_err();
    }
    match (stopping, ended) {
        (Stopping::No, Ok(status)) => exit_of(status),
        (Stopping::No, Err(_)) => ScriptExit::Interrupted,
        (Stopping::Asked | Stopping::Killed, _) => ScriptExit::Timeout,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    Asked,
    Killed,
}

fn exit_of(status: ExitStatus) -> ScriptExit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ScriptExit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        (None, signal) => {
            ScriptExit::Signal(u8::try_from(signal.unwrap_or_default()).unwrap_or(u8::MAX))
        }
    }
}

/// A script's process group; killed when dropped.
struct Group(Option<u32>);

impl Group {
    /// True if anything of it is left; its leader was waited for.
    fn lives(&self) -> bool {
        let id = self.0.and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw);
        group.is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    fn signal(&self, signal: Signal) {
        let id = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // An empty group is what we want.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The end of a script's output.
#[derive(Default)]
struct Log(Vec<u8>);

impl Log {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(LOG_BYTES_MAX);
        self.0.drain(..surplus);
    }

    /// The last bytes without trailing white space, from a character's first byte.
    fn tail(&self) -> Vec<u8> {
        let text = self.0.trim_ascii_end();
        let mut start = text.len().saturating_sub(OUTPUT_BYTES_MAX);
        if start > 0 {
            let inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
            // A character has at most three bytes after its first.
            start += text[start..]
                .iter()
                .take(3)
                .take_while(|b| inside(b))
                .count();
        }
        text[start..].to_vec()
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
