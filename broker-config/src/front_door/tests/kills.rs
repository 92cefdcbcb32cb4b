//! Every one-client kill known of rumqttd's own server.

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, PubAck};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Client, PATIENCE, broker, bystander, connect_of, count_of, device_connect, service_connect,
    socket, still_works, topic,
};
use crate::EmbeddedBroker;

/// Sends raw bytes after an accepted CONNECT and expects the broker to close for `code`.
async fn closes_on(broker: &EmbeddedBroker, bytes: &[u8], code: &str) {
    let before = count_of(broker, code);
    let mut client = Client::connect(broker, device_connect("mallory")).await;
    assert_eq!(client.code, ConnectReturnCode::Success);
    client.connection.write_raw(bytes);
    client.closed().await;
    assert_eq!(
        count_of(broker, code),
        before + 1,
        "{code} for {bytes:02x?}"
    );
}

fn raw_publish(topic: &[u8], qos: u8) -> Vec<u8> {
    let mut body = vec![0, u8::try_from(topic.len()).unwrap()];
    body.extend_from_slice(topic);
    if qos > 0 {
        body.extend_from_slice(&[0, 1]);
    }
    let mut packet = vec![0x30 | qos << 1, u8::try_from(body.len()).unwrap()];
    packet.extend_from_slice(&body);
    packet
}

#[tokio::test]
async fn a_topic_that_kills_the_router_closes_only_its_sender() {
    // bad-inputs rows 1 and 3
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let long = [b"hoist/s/".as_slice(), &[b'x'; 100]].concat();
    let other = topic(Topic::Status, "victim");
    for (bad, code) in [
        ("é/x".as_bytes(), "E_TOPIC"),
        (b"hoist/s/+/x", "E_TOPIC"),
        (b"#", "E_TOPIC"),
        (b"", "E_TOPIC"),
        (b"a\0b", "E_PACKET"),
        (b"\xff\xfe", "E_PACKET"),
        (b"$share/g/x", "E_ACCESS"),
        (&long, "E_ACCESS"),
        (other.as_bytes(), "E_ACCESS"),
    ] {
        for qos in [0, 1] {
            closes_on(&broker, &raw_publish(bad, qos), code).await;
        }
        still_works(&broker, &mut bystander).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_of_65535_bytes_closes_only_its_sender() {
    // bad-inputs rows 3 and 9
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut packet = vec![0x30, 0x81, 0x80, 0x04, 0xff, 0xff];
    packet.extend_from_slice(&[b'x'; 65_535]);
    closes_on(&broker, &packet, "E_SIZE").await;
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn packets_out_of_place_close_only_their_sender() {
    // bad-inputs rows 6, 9 and 73
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let own = topic(Topic::Status, "mallory");
    let mut second_connect = bytes::BytesMut::new();
    Packet::Connect(device_connect("mallory"))
        .write(&mut second_connect, 20_000)
        .unwrap();
    let attacks: [(&[u8], &str); 10] = [
        (&[0x40, 2, 0, 9], "E_ACK"),
        (&[0x20, 2, 0, 0], "E_PACKET"),
        (&[0x90, 3, 0, 1, 0], "E_PACKET"),
        (&[0x62, 2, 0, 1], "E_PACKET"),
        (&second_connect, "E_PACKET"),
        (&[0x30, 0xff, 0xff, 0xff, 0x7f], "E_SIZE"),
        (&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff], "E_SIZE"),
        (&[0x32, 3, 0, 1, b'x'], "E_PACKET"),
        (&[0x82, 2, 0, 1], "E_PACKET"),
        (&raw_publish(own.as_bytes(), 2), "E_QOS"),
    ];
    for (attack, code) in attacks {
        closes_on(&broker, attack, code).await;
        still_works(&broker, &mut bystander).await;
    }
}

#[tokio::test]
async fn noise_closes_only_its_sender() {
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200 {
        let noise: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        let mut client = Client::connect(&broker, device_connect("mallory")).await;
        client.connection.write_raw(&noise);
        client.connection.say_last(&[]).await;
    }
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn an_ack_out_of_order_closes_only_its_sender() {
    // bad-inputs row 73
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut service = Client::connect(&broker, service_connect()).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    device.subscribe("hoist/d/d1", QoS::AtLeastOnce).await;
    for _ in 0..2 {
        service.publish("hoist/d/d1", b"spec", true).await;
        device.receive().await;
    }
    let second = Packet::PubAck(PubAck::new(2));
    device.connection.write(&second);
    device.closed().await;
    assert_eq!(count_of(&broker, "E_ACK"), 1);
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn what_is_no_connect_is_closed_by_the_deadline() {
    // bad-inputs rows 5 and 6
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    for start in [
        &b""[..],
        &[0x10, 30, 0],
        &[0x82, 6, 0, 1, 0, 1, b'#', 0],
        &[0x20, 2, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = socket(&broker).await;
        stream.write_all(start).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {start:?}");
    }
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn a_reset_before_the_connack_leaves_the_client_id_usable() {
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut connect = bytes::BytesMut::new();
    Packet::Connect(device_connect("mallory"))
        .write(&mut connect, 20_000)
        .unwrap();
    for _ in 0..30 {
        let mut stream = socket(&broker).await;
        stream.write_all(&connect).await.unwrap();
        stream.set_zero_linger().unwrap();
    }
    let client = Client::connect(&broker, device_connect("mallory")).await;
    assert_eq!(client.code, ConnectReturnCode::Success);
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn a_client_id_of_wildcards_can_come_twice() {
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    for id in ["+", "$", "#", "/", "a/+/#$", "é"] {
        for _ in 0..2 {
            let client = Client::connect(&broker, connect_of(id, "alice", "alice-token")).await;
            assert_eq!(client.code, ConnectReturnCode::Success, "{id}");
        }
    }
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn leaving_with_unacknowledged_messages_disturbs_nobody() {
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for clean in [true, false] {
        let mut connect = connect_of("leaver", "alice", "alice-token");
        connect.clean_session = clean;
        let mut leaver = Client::connect(&broker, connect).await;
        leaver.subscribe("hoist/view/#", QoS::AtLeastOnce).await;
        service.publish("hoist/view/fleet", b"{}", false).await;
        leaver.receive().await;
        drop(leaver);
        still_works(&broker, &mut bystander).await;
    }
}

#[tokio::test]
async fn mqtt_5_and_3_are_told_that_their_version_is_not_spoken() {
    let broker = broker().await;
    let versions: [(&[u8], &[u8]); 2] = [
        (
            &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0],
            &[0x20, 3, 0, 0x84, 0],
        ),
        (
            &[
                0x10, 14, 0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, 2, 0, 60, 0, 0,
            ],
            &[0x20, 2, 0, 1],
        ),
    ];
    for (connect, expected) in versions {
        let mut stream = socket(&broker).await;
        stream.write_all(connect).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn a_dead_router_is_replaced_and_clients_come_back() {
    // bad-inputs row 14
    let broker = broker().await;
    let mut client = bystander(&broker).await;
    // What no client can do any more: the topic of bad-inputs row 1, past the door.
    let mut link = broker.hub_for_tests().router().link().await.unwrap();
    link.subscribe("x").unwrap();
    link.publish("é/x", vec![0]).unwrap();
    assert_eq!(client.next().await, None, "sessions of the dead router end");
    let replaced = async {
        while broker.self_probe().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let replaced = tokio::time::timeout(PATIENCE, replaced).await;
    assert!(replaced.is_ok(), "no new router");
    let mut again = bystander(&broker).await;
    still_works(&broker, &mut again).await;
}
