//! A broker that means harm, as a device sees it: a line between agent and broker on which a test
//! withholds, replaces and repeats what the broker publishes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::wire::header;

/// The thing that is done to a message on its way to the device.
pub enum Harm {
    /// None.
    Passed,
    /// The device never gets it.
    Withheld,
    /// The device gets another payload in its place.
    Replaced(Vec<u8>),
}

type Plan = Box<dyn FnMut(&str, &[u8]) -> Harm + Send>;

struct State {
    plan: Plan,
    /// Every payload that the broker published to the device, by its topic.
    seen: BTreeMap<String, Vec<Vec<u8>>>,
    streams: Vec<TcpStream>,
}

/// The line; its threads end with their sockets.
pub struct Meddler {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Meddler {
    /// Listens on a free port in front of `target`, and does no harm at first.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            plan: Box::new(|_, _| Harm::Passed),
            seen: BTreeMap::new(),
            streams: Vec::new(),
        }));
        let (shared, target) = (Arc::clone(&state), target.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let own = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                shared.lock().unwrap().streams.extend(own);
                pass(client.try_clone().unwrap(), server.try_clone().unwrap());
                meddle(server, client, Arc::clone(&shared));
            }
        });
        Self { address, state }
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Does this from now on, and cuts the line, so that everything comes anew.
    pub fn harm(&self, plan: impl FnMut(&str, &[u8]) -> Harm + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.plan = Box::new(plan);
        for stream in state.streams.drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    /// The payloads of a topic so far.
    pub fn seen(&self, topic: &str) -> Vec<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.seen.get(topic).cloned().unwrap_or_default()
    }

    /// The topics so far that begin like this.
    pub fn topics(&self, start: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let topics = state.seen.keys();
        topics
            .filter(|topic| topic.starts_with(start))
            .cloned()
            .collect()
    }
}

/// Hands on everything as it is.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _gone = std::io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Both);
    });
}

/// Hands on packets, of those that publish what the plan leaves.
fn meddle(mut server: TcpStream, mut client: TcpStream, state: Arc<Mutex<State>>) {
    std::thread::spawn(move || {
        let (mut pending, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            pending.extend_from_slice(&buffer[..count]);
            while let Some((start, length)) =
                header(&pending).filter(|(_, length)| *length <= pending.len())
            {
                let packet: Vec<u8> = pending.drain(..length).collect();
                let (to_device, to_broker) = changed(&packet, start, &state);
                if client.write_all(&to_device).is_err() || server.write_all(&to_broker).is_err() {
                    return;
                }
            }
        }
        let _gone = client.shutdown(Shutdown::Both);
    });
}

/// The bytes for the device, and for the broker in the device's name.
fn changed(packet: &[u8], start: usize, state: &Mutex<State>) -> (Vec<u8>, Vec<u8>) {
    if packet[0] >> 4 != 3 {
        return (packet.to_vec(), Vec::new());
    }
    let body = &packet[start..];
    let topic_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8(body[2..topic_end].to_vec()).unwrap();
    let has_id = packet[0] & 6 != 0;
    let (head, payload) = body.split_at(topic_end + if has_id { 2 } else { 0 });
    let mut state = state.lock().unwrap();
    let all = state.seen.entry(topic.clone()).or_default();
    all.push(payload.to_vec());
    match (state.plan)(&topic, payload) {
        Harm::Passed => (packet.to_vec(), Vec::new()),
        // The broker hears that it arrived.
        Harm::Withheld => (
            Vec::new(),
            match has_id {
                true => [&[0x40, 2], &head[topic_end..]].concat(),
                false => Vec::new(),
            },
        ),
        Harm::Replaced(payload) => {
            let mut bytes = vec![packet[0]];
            length(head.len() + payload.len(), &mut bytes);
            (
                bytes
                    .into_iter()
                    .chain(head.iter().copied())
                    .chain(payload)
                    .collect(),
                Vec::new(),
            )
        }
    }
}

/// A remaining length (MQTT 3.1.1, 2.2.3).
fn length(mut rest: usize, bytes: &mut Vec<u8>) {
    loop {
        let more = rest > 0x7f;
        let low = u8::try_from(rest & 0x7f).unwrap();
        bytes.push(if more { low | 0x80 } else { low });
        rest >>= 7;
        if !more {
            return;
        }
    }
}
