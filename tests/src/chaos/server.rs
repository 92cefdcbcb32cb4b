//! The server that is killed, and what is asked of it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::line::Line;
use super::moments::Moments;
use super::{Failed, HOIST, PATIENCE, free_port, pause};

/// The longest time that one question may last.
const ASK: Duration = Duration::from_secs(5);
/// A wait that begins this soon after the start counts as a wait from the start on.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Of a log, when its server ended by itself.
const LAST_LINES: usize = 20;
const KILL: i32 = 9;

pub(crate) struct Server {
    asker: Asker,
    data: PathBuf,
    log: PathBuf,
    mqtt: u16,
    http: u16,
    moments: Moments,
    process: Child,
    /// When it was started, until it was seen to be ready.
    started: Option<Instant>,
    /// The times that starts took to be ready, in ms, of those that were waited for from the start
    /// on.
    starts_ms: Vec<u64>,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Result<Self, Failed> {
        let (data, log) = (dir.join("data"), dir.join("server.log"));
        let (mqtt, http) = (free_port()?, free_port()?);
        let moments = Moments::create(dir)?;
        let process = serve(&data, &log, [mqtt, http], &moments)?;
        let mut server = Self {
            asker: Asker::new(data.clone()),
            data,
            log,
            mqtt,
            http,
            moments,
            process,
            started: None,
            starts_ms: Vec::new(),
        };
        server.wait_ready()?;
        Ok(server)
    }

    /// Its MQTT port.
    pub(crate) fn mqtt(&self) -> u16 {
        self.mqtt
    }

    /// The moments that end the server, and its clock.
    pub(crate) fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The way to ask it something.
    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// `kill -9`, wherever it is.
    pub(crate) fn kill(&mut self) -> Result<(), Failed> {
        self.process.kill()?;
        let ended = self.process.wait()?;
        if ended.signal() == Some(KILL) {
            return Ok(());
        }
        Err(self.ended(ended))
    }

    /// Starts it again, on the same ports and data.
    pub(crate) fn begin(&mut self) -> Result<(), Failed> {
        self.started = Some(Instant::now());
        self.process = serve(&self.data, &self.log, [self.mqtt, self.http], &self.moments)?;
        Ok(())
    }

    /// Ends it in order, and starts it again.
    pub(crate) fn restart(&mut self) -> Result<(), Failed> {
        self.wait_ready()?;
        self.terminate()?;
        self.begin()
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Failed> {
        signal(&self.process, name)
    }

    fn terminate(&mut self) -> Result<(), Failed> {
        self.signal("TERM")?;
        let ended = self.process.wait()?;
        match ended.success() {
            true => Ok(()),
            false => Err(self.ended(ended)),
        }
    }

    /// It ends as it is asked to; how long its starts took, in ms.
    pub(crate) fn stop(mut self) -> Result<Vec<u64>, Failed> {
        self.terminate()?;
        Ok(std::mem::take(&mut self.starts_ms))
    }

    fn ended(&self, how: ExitStatus) -> Failed {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("the server ended with {how}:\n{}", last.join("\n")).into()
    }

    /// True if the server ends by itself in this time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<bool, Failed> {
        let began = Instant::now();
        loop {
            if self.process.try_wait()?.is_some() {
                return Ok(true);
            }
            if began.elapsed() > time {
                return Ok(false);
            }
            pause(5);
        }
    }

    pub(crate) fn wait_ready(&mut self) -> Result<(), Failed> {
        let began = Instant::now();
        while !self.is_ready().unwrap_or(false) {
            if let Some(ended) = self.process.try_wait()? {
                return Err(self.ended(ended));
            }
            if began.elapsed() > PATIENCE {
                return Err("the server is never ready".into());
            }
            pause(10);
        }
        let started = self.started.take();
        if let Some(started) = started.filter(|started| began - *started < AT_ONCE) {
            let took = started.elapsed().as_millis();
            self.starts_ms.push(u64::try_from(took)?);
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool, Failed> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http))?;
        stream.set_read_timeout(Some(ASK))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    }

    /// The client file of its first administrator, for whoever is behind the line.
    pub(crate) fn client_file(&self, line: &Line) -> Result<String, Failed> {
        let text = std::fs::read_to_string(self.data.join("client.toml"))?;
        Ok(self.behind(line, &text))
    }

    /// The same settings, for whoever is behind the line.
    pub(crate) fn behind(&self, line: &Line, text: &str) -> String {
        text.replace(&format!(":{}", self.mqtt), &format!(":{}", line.port()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_waited = self.process.wait();
    }
}

fn serve(
    data: &Path,
    log: &Path,
    [mqtt, http]: [u16; 2],
    moments: &Moments,
) -> Result<Child, Failed> {
    let log = File::options().create(true).append(true).open(log)?;
    let child = Command::new("/proc/self/exe")
        .args([HOIST, "serve", "--data-dir"])
        .arg(data)
        .args(["--mqtt", &format!("127.0.0.1:{mqtt}")])
        .args(["--http", &format!("127.0.0.1:{http}")])
        .envs(moments.variables(mqtt))
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
