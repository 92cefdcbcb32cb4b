//! Bytes by which a server answers that means harm: to a download, or to an MQTT client.

use std::sync::OnceLock;
use std::time::Duration;

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::get::{Target, connect, get};
use hoist_net::mqtt::{Acks, Options, Session, open};
use hoist_net::tls::Trust;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// The longest time until all is read of somebody who has gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// A client takes no larger packet.
const PACKET_BYTES_MAX: usize = 65_536;

/// An answer to a download or, by the first byte, what a broker says.
pub(super) fn answers(input: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime =
        RUNTIME.get_or_init(|| Builder::new_current_thread().enable_all().build().unwrap());
    let (first, rest) = input
        .split_first()
        .map_or((0, input), |(first, rest)| (*first, rest));
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // It may be gone before all of it was said.
            let _gone = stream.write_all(rest).await;
            let _gone = stream.shutdown().await;
            stream
        };
        let read = async {
            match first % 2 {
                0 => download(port, rest.len()).await,
                _ => converse(port, rest.len()).await,
            }
        };
        let both = async { tokio::join!(answer, read) };
        timeout(PATIENCE, both)
            .await
            .expect("all of it is read in time");
    });
}

/// A body has no more bytes than were sent.
async fn download(port: u16, sent: usize) {
    let address = Endpoint::parse(&format!("http://127.0.0.1:{port}/artifact")).unwrap();
    let connected = connect(&address, &Trust::default()).await.ok().unwrap();
    let Ok(mut response) = get(connected, &address, Target::Origin, &(0..1_000)).await else {
        return;
    };
    let mut read = 0;
    while let Ok(Some(data)) = response.next().await {
        read += data.len();
        assert!(read <= sent, "{read} bytes of {sent}");
    }
}

/// A connection ends with what its broker said, and brings no more events than it has bytes.
async fn converse(port: u16, sent: usize) {
    let (_writer, mut reader) = open(Options {
        broker: Endpoint::of(Scheme::Mqtt, "127.0.0.1", port),
        trust: Trust::default(),
        client_id: "pump-1".to_owned(),
        user: "pump-1".to_owned(),
        token: String::new(),
        keep_alive: PATIENCE,
        session: Session::Clean,
        acks: Acks::Manual,
        inflight_max: None,
        packet_bytes_max: PACKET_BYTES_MAX,
        requests_max: 16,
        will: None,
    });
    let mut events = 0;
    while reader.next().await.is_ok() {
        events += 1;
        assert!(events <= sent, "{events} events of {sent} bytes");
    }
}
