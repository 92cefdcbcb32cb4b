//! A TCP proxy that keeps every MQTT packet that passes, and can cut the line.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The sender of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The client that connected to the proxy.
    Client,
    /// The server behind it.
    Server,
}

/// One MQTT packet as it was on the socket.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The sender of the packet.
    pub from: From,
    /// All its bytes, fixed header included.
    pub bytes: Vec<u8>,
}

impl Captured {
    /// The topic and payload, when it is a PUBLISH.
    pub fn publish(&self) -> Option<(String, Vec<u8>)> {
        if self.bytes[0] >> 4 != 3 {
            return None;
        }
        let qos = self.bytes[0] >> 1 & 3;
        let body = &self.bytes[header(&self.bytes)?.0..];
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
        Some((
            topic,
            body[2 + length + if qos > 0 { 2 } else { 0 }..].to_vec(),
        ))
    }
}

/// The bytes of the fixed header and of the whole packet, once both are known.
pub(super) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut remaining = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((index + 2, index + 2 + remaining));
        }
    }
    None
}

#[derive(Default)]
struct State {
    packets: Vec<Captured>,
    streams: Vec<TcpStream>,
    closed: bool,
}

/// The proxy; its threads end with their sockets.
pub struct Proxy {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Listens on a free port and forwards to `target`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let target = target.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let mut state = shared.lock().unwrap();
                if state.closed {
                    continue;
                }
                state
                    .streams
                    .extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                drop(state);
                pump(From::Client, &client, &server, &shared);
                pump(From::Server, &server, &client, &shared);
            }
        });
        Self { address, state }
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every packet so far, in the order it was read.
    pub fn packets(&self) -> Vec<Captured> {
        self.state.lock().unwrap().packets.clone()
    }

    /// Cuts every line and accepts no more until [`Proxy::mend`].
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Accepts again.
    pub fn mend(&self) {
        self.state.lock().unwrap().closed = false;
    }
}

fn pump(from: From, source: &TcpStream, sink: &TcpStream, state: &Arc<Mutex<State>>) {
    let (mut source, mut sink) = (source.try_clone().unwrap(), sink.try_clone().unwrap());
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        let mut pending = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            pending.extend_from_slice(&buffer[..count]);
            while let Some((_, length)) =
                header(&pending).filter(|(_, length)| *length <= pending.len())
            {
                let bytes = pending.drain(..length).collect();
                state.lock().unwrap().packets.push(Captured { from, bytes });
            }
            if sink.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = sink.shutdown(Shutdown::Both);
    });
}
