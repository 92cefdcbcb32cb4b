use std::net::SocketAddr;

use hoist_net::endpoint::Scheme;
use hoist_net::tls::Trust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// More than there is room for on either way.
const MANY: usize = 4 * EVENTS_MAX;

/// A broker that lets everybody in, delivers a great deal at once, and acknowledges every publish.
async fn eager_broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut input, mut output) = stream.into_split();
        let mut connect = [0; 1_024];
        let _read = input.read(&mut connect).await.unwrap();
        // QoS 0 on topic `t`, of no content.
        let deliveries = [0x30, 3, 0, 1, b't'].repeat(MANY);
        output.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        output.write_all(&deliveries).await.unwrap();
        loop {
            let Ok(kind) = input.read_u8().await else {
                return;
            };
            let length = input.read_u8().await.unwrap();
            let mut packet = vec![0; usize::from(length)];
            input.read_exact(&mut packet).await.unwrap();
            if kind == 0x32 {
                // Behind the topic `t` comes the packet id.
                let ack = [0x40, 2, packet[3], packet[4]];
                output.write_all(&ack).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn much_that_arrives_while_much_is_said_holds_neither_up_and_is_heard() {
    let broker = Endpoint::of(Scheme::Mqtt, "127.0.0.1", eager_broker().await.port());
    let login = Login {
        user: "d1".to_owned(),
        token: "a token".to_owned(),
    };
    let subject = Subject {
        devices: broker.clone(),
        broker,
        trust: Trust::default(),
        namespace: "hoist".parse().unwrap(),
        canaries: None,
        user: None,
        orchestrator: None,
        restart: None,
        form: Form::Quick,
    };
    let terms = Terms::device(&subject, &login);
    let mut peer = Peer::connect(&subject, terms).await.unwrap();
    let said = std::iter::repeat_with(|| Message {
        topic: "t".to_owned(),
        payload: Vec::new(),
        retain: false,
    });
    let both = async {
        assert!(peer.publish_all(said.take(MANY)).await);
        assert_eq!(peer.hear(MANY).await, MANY);
    };
    let in_time = tokio::time::timeout(3 * PATIENCE, both).await;
    in_time.expect("neither waits for the other");
}
