//! The bytes of a handshake in which both sides show a certificate, and of one that resumes.

use tokio::io::copy_bidirectional;

use super::clients::{Fleet, fleet};
use super::*;

/// A line between two ends: the address to connect to, and later the bytes that passed, from the
/// client and to it.
async fn tapped(target: &TcpListener) -> (u16, tokio::task::JoinHandle<(u64, u64)>) {
    let tap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tap.local_addr().unwrap().port();
    let target = target.local_addr().unwrap();
    let passed = tokio::spawn(async move {
        let (mut client, _) = tap.accept().await.unwrap();
        let mut server = TcpStream::connect(target).await.unwrap();
        copy_bidirectional(&mut client, &mut server).await.unwrap()
    });
    (port, passed)
}

/// The bytes until a client has heard one byte of the server: everything that is sent before
/// anything can be said in both directions.
async fn bytes_of_a_meeting(fleet: &Fleet, client: &Trust) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, passed) = tapped(&listener).await;
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut accepted = fleet.acceptor.accept(stream).await.unwrap();
        accepted.stream.write_all(b"!").await.unwrap();
        accepted.stream.flush().await.unwrap();
        accepted
    };
    let at = Endpoint::of(Scheme::Mqtts, "localhost", port);
    let (stream, accepted) = tokio::join!(connect(&at, client), accepting);
    let mut stream = stream.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
    drop((stream, accepted));
    let (up, down) = passed.await.unwrap();
    up + down
}

#[tokio::test]
async fn a_handshake_that_is_resumed_costs_about_half_and_neither_more_than_is_written() {
    let fleet = fleet(TlsMin::V1_3);
    let pump = fleet.showing(&fleet.clients, "pump-0001", YEARS);
    let full = bytes_of_a_meeting(&fleet, &pump).await;
    let resumed = bytes_of_a_meeting(&fleet, &pump).await;
    println!("full {full} bytes, resumed {resumed} bytes");
    assert!((1_000..=FULL_MAX).contains(&full), "{full} bytes");
    assert!((300..=RESUMED_MAX).contains(&resumed), "{resumed} bytes");
    assert!(resumed * 10 < full * 6, "{resumed} of {full} bytes");
}

/// What `docs/benchmarks.md` says, with room for signatures, whose length differs by a few bytes.
const FULL_MAX: u64 = 1_550;
const RESUMED_MAX: u64 = 800;
