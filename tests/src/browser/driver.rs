//! The driver's process, and requests to it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest time of a start, and of one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The words before the port in what the driver says when it has started.
const STARTED: &str = "started successfully on port ";

/// A running `chromedriver`.
pub(super) struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    pub(super) fn start(log: &Path) -> Self {
        let file = File::create(log).expect("a log");
        let child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a log"))
            .stdout(file)
            .spawn()
            .expect("chromedriver starts");
        let mut driver = Self { child, port: 0 };
        driver.port = wait_port(log);
        driver
    }

    /// The value of an answer.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self
            .say(method, path, body)
            .expect("an answer of the driver");
        let value = answer["value"].clone();
        assert!(value["error"].is_null(), "{method} {path}: {value}");
        value
    }

    /// One request on a connection of its own.
    pub(super) fn say(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        let mut part = [0; 65_536];
        loop {
            if let Some(body) = whole(&answer) {
                return serde_json::from_slice(body).map_err(io::Error::other);
            }
            match stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => answer.extend_from_slice(&part[..read]),
            }
        }
    }
}

/// The body of an answer, once it is there as a whole.
fn whole(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    })?;
    answer[end + 4..].get(..length)
}

fn wait_port(log: &Path) -> u16 {
    let start = Instant::now();
    loop {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let port = said.split_once(STARTED).and_then(|(_, rest)| {
            let (digits, _) = rest.split_once('.')?;
            digits.parse().ok()
        });
        if let Some(port) = port {
            return port;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "chromedriver did not start: {said}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
