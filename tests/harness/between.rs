//! A small HTTP server between agents and the artifact server: it keeps what it was asked
//! and answers as a test says, or hands on what the artifact server says. As the proxy that
//! an agent is told to use it does the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Counted from 0.
    pub number: usize,
    /// The target that it names: a path, or a whole address when a proxy is asked.
    pub target: String,
    /// Its head behind the first line.
    pub headers: String,
    /// When it came.
    pub at: Instant,
}

/// The answer.
pub enum Answer {
    /// The answer of the artifact server.
    HandedOn,
    /// A head without its empty line, and no body.
    Head(String),
}

/// The server; its threads end with their sockets.
pub struct Between {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Between {
    /// Listens on a free port in front of the artifact server at `target`.
    pub fn start(target: &str, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, target, answer) = (asked.clone(), target.to_owned(), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, answer) = (client.unwrap(), answer.clone());
                let (seen, target) = (seen.clone(), target.clone());
                std::thread::spawn(move || serve(client, &target, &seen, answer.as_ref()));
            }
        });
        Self { address, asked }
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One connection, which holds one request, as agents make them.
fn serve(
    mut client: TcpStream,
    target: &str,
    seen: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Answer,
) {
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    let headers = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let headers: String = headers.map(|line| line + "\r\n").collect();
    let mut seen = seen.lock().unwrap();
    let asked = Asked {
        number: seen.len(),
        target: first.split(' ').nth(1).unwrap().to_owned(),
        headers,
        at: Instant::now(),
    };
    seen.push(asked.clone());
    drop(seen);
    // An agent that is killed meanwhile hears nothing of it.
    let _unheard = match answer(&asked) {
        Answer::HandedOn => hand_on(&mut client, target, path(&asked.target), &asked.headers),
        Answer::Head(head) => client.write_all(format!("{head}\r\n\r\n").as_bytes()),
    };
    let _gone = client.shutdown(Shutdown::Both);
}

/// The path of what a proxy, or a server, is asked for.
fn path(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else {
        return target;
    };
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

fn hand_on(client: &mut TcpStream, target: &str, path: &str, headers: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    server.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)
}
