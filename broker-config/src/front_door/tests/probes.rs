//! Packets that MQTT 3.1.1 calls wrong, and some that are right: a table, each row on a socket of
//! its own. Numbers in brackets are of the standard.

mod after;
mod before;

use hoist_protocol::id::Namespace;
use hoist_protocol::topic::Topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, broker_with, count_of, generous, key, socket, topic};
use crate::{EmbeddedBroker, Limits};

/// The answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing; the connection is closed.
    Closed,
    /// This; the connection is closed.
    Last(&'static [u8]),
    /// This; the connection stays.
    Stays(&'static [u8]),
}

use Answer::{Closed, Last, Stays};
use after::{later_packets, publishes};
use before::{connects, first_packets};

const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
const REFUSED_LEVEL: &[u8] = &[0x20, 2, 0, 1];
const REFUSED_ID: &[u8] = &[0x20, 2, 0, 2];
const REFUSED_LOGIN: &[u8] = &[0x20, 2, 0, 4];

type Probe = (&'static str, Vec<u8>, Answer);

/// A packet with this first byte.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(digit | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            break;
        }
    }
    [&bytes, body].concat()
}

/// Bytes behind their length.
fn field(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn token() -> String {
    key().device_token(&Namespace::default(), &"d1".parse().unwrap(), 1)
}

/// The body of a CONNECT: name, level, flags, keep-alive, and fields.
fn body(name: &str, level: u8, flags: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    [&field(name)[..], &[level, flags, 0, 30], &fields.concat()].concat()
}

/// A CONNECT of level 4.
fn connect(flags: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    packet(0x10, &body("MQTT", 4, flags, fields))
}

/// The fields of a right CONNECT of the device.
fn device() -> Vec<Vec<u8>> {
    vec![field("d1"), field("d1"), field(token())]
}

/// The same with a field in another's place.
fn device_with(index: usize, other: Vec<u8>) -> Vec<Vec<u8>> {
    let mut fields = device();
    fields[index] = other;
    fields
}

/// The same with a will.
fn device_with_will(topic: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    let mut fields = device();
    fields.splice(1..1, [field(topic), field("gone")]);
    fields
}

fn alice(client_id: &str) -> Vec<Vec<u8>> {
    vec![field(client_id), field("alice"), field("alice-token")]
}

async fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    let whole = tokio::time::timeout(PATIENCE, stream.read_exact(&mut read)).await;
    match whole.expect("neither answered nor closed") {
        Ok(_) => read,
        Err(_) => Vec::new(),
    }
}

/// Ok if some bytes are answered as they ought to be; else the bytes that came.
async fn answered(stream: &mut TcpStream, bytes: &[u8], wanted: Answer) -> Result<(), Vec<u8>> {
    stream.write_all(bytes).await.map_err(|_| Vec::new())?;
    if let Stays(wanted) = wanted {
        let read_back = read(stream, wanted.len()).await;
        if read_back != wanted {
            return Err(read_back);
        }
        stream.write_all(&[0xc0, 0]).await.map_err(|_| Vec::new())?;
        let pong = read(stream, 2).await;
        return if pong == [0xd0, 0] { Ok(()) } else { Err(pong) };
    }
    let mut all = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    // A reset is as good an end.
    if ended.is_err() {
        return Err(b"not closed".to_vec());
    }
    let last = match wanted {
        Last(bytes) => bytes,
        _ => &[],
    };
    if all == last { Ok(()) } else { Err(all) }
}

async fn connected(broker: &EmbeddedBroker) -> TcpStream {
    let mut stream = socket(broker).await;
    stream.write_all(&connect(0xc2, &device())).await.unwrap();
    assert_eq!(read(&mut stream, 4).await, ACCEPTED);
    stream
}

#[tokio::test]
async fn every_probe_is_answered_as_mqtt_3_1_1_says() {
    // Nobody is closed for having been silent: each row for what it says.
    let broker = broker_with(Limits {
        handshake: 100 * PATIENCE,
        keep_alive: 100 * PATIENCE,
        device_pace: generous(),
        ..Limits::default()
    })
    .await;
    let mut wrong = Vec::new();
    let mut count = 0;
    let unconnected = first_packets().into_iter().chain(connects());
    let connected_ones = later_packets().into_iter().chain(publishes());
    let probes = unconnected.map(|probe| (probe, false));
    for ((what, bytes, wanted), later) in probes.chain(connected_ones.map(|probe| (probe, true))) {
        let mut stream = match later {
            true => connected(&broker).await,
            false => socket(&broker).await,
        };
        count += 1;
        if let Err(got) = answered(&mut stream, &bytes, wanted).await {
            wrong.push(format!("{what}: {wanted:?}, not {got:02x?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(count, 102);
    assert_eq!(count_of(&broker, "E_TIMEOUT"), 0);
}
