//! Real sockets against the real door: every one-client kill known of rumqttd's own
//! server, with a bystander who must not notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeviceId, Namespace, UserId};
use hoist_protocol::topic::{Topic, Topics};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connection::Connection;
use crate::credentials::{People, SERVICE_USER, TokenCredentials, TokenKey, User, hash_user_token};
use crate::{EmbeddedBroker, FrontDoorConfig, Limits};

const PATIENCE: Duration = Duration::from_secs(20);

struct Staff;

impl People for Staff {
    fn user(&self, name: &UserId) -> Option<User> {
        (name.as_str() == "alice").then(|| User {
            role: Role::Admin,
            groups: Vec::new(),
            token_sha256: hash_user_token("alice-token"),
        })
    }

    fn is_revoked(&self, device: &DeviceId, issue: u32) -> bool {
        device.as_str() == "lost" && issue < 2
    }
}

fn key() -> TokenKey {
    TokenKey::new([7; 32])
}

async fn broker_with(limits: Limits) -> EmbeddedBroker {
    let credentials = TokenCredentials {
        namespace: Namespace::default(),
        key: key(),
        service_token_sha256: hash_user_token("service-token"),
        people: Arc::new(Staff),
    };
    let config = FrontDoorConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        namespace: Namespace::default(),
        limits,
    };
    EmbeddedBroker::start(config, Arc::new(credentials))
        .await
        .unwrap()
}

async fn broker() -> EmbeddedBroker {
    broker_with(Limits {
        handshake: Duration::from_millis(300),
        ..Limits::default()
    })
    .await
}

fn topic(of: fn(DeviceId) -> Topic, device: &str) -> String {
    Topics::default().format(&of(device.parse().unwrap()))
}

struct Client {
    connection: Connection<TcpStream>,
    code: ConnectReturnCode,
    present: bool,
}

fn connect_of(client_id: &str, user: &str, token: &str) -> Connect {
    let mut connect = Connect::new(client_id);
    connect.set_login(user, token);
    connect.keep_alive = 30;
    connect
}

fn device_connect(device: &str) -> Connect {
    let token = key().device_token(&Namespace::default(), &device.parse().unwrap(), 1);
    connect_of(device, device, &token)
}

fn service_connect() -> Connect {
    let mut connect = connect_of("orchestrator", SERVICE_USER, "service-token");
    connect.clean_session = false;
    connect
}

async fn socket(broker: &EmbeddedBroker) -> TcpStream {
    TcpStream::connect(broker.local_addr()).await.unwrap()
}

impl Client {
    async fn connect(broker: &EmbeddedBroker, connect: Connect) -> Self {
        let mut connection = Connection::new(socket(broker).await, 1 << 20, PATIENCE);
        connection.write(&Packet::Connect(connect));
        let mut client = Self {
            connection,
            code: ConnectReturnCode::Success,
            present: false,
        };
        match client.next().await {
            Some(Packet::ConnAck(ack)) => {
                (client.code, client.present) = (ack.code, ack.session_present);
            }
            other => panic!("no CONNACK but {other:?}"),
        }
        client
    }

    async fn alice(broker: &EmbeddedBroker) -> Self {
        let client = Self::connect(broker, connect_of("", "alice", "alice-token")).await;
        assert_eq!(client.code, ConnectReturnCode::Success);
        client
    }

    /// The next packet, or `None` when the broker closed.
    async fn next(&mut self) -> Option<Packet> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.connection.next()).await;
            match next.expect("the broker neither answers nor closes") {
                Ok(Some(packet)) => return Some(packet),
                Ok(None) => {}
                Err(_) => return None,
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        let mut subscribe = Subscribe::new(filter, qos);
        subscribe.pkid = 1;
        self.connection.write(&Packet::Subscribe(subscribe));
        match self.next().await {
            Some(Packet::SubAck(ack)) => ack.return_codes[0],
            other => panic!("no SUBACK but {other:?}"),
        }
    }

    async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.retain) = (7, retain);
        self.connection.write(&Packet::Publish(publish));
        assert_eq!(self.next().await, Some(Packet::PubAck(PubAck::new(7))));
    }

    async fn receive(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("no PUBLISH but {other:?}"),
        }
    }

    async fn acknowledge(&mut self, id: u16) {
        self.connection.write(&Packet::PubAck(PubAck::new(id)));
        // A ping behind it proves that it was taken.
        self.connection.write(&Packet::PingReq);
    }
}

/// A message still goes from one client to another.
async fn still_works(broker: &EmbeddedBroker, bystander: &mut Client) {
    let mut device = Client::connect(broker, device_connect("canary")).await;
    device
        .publish(&topic(Topic::Presence, "canary"), b"here", false)
        .await;
    let message = bystander.receive().await;
    assert_eq!(message.payload.as_ref(), b"here");
    bystander.acknowledge(message.pkid).await;
    assert_eq!(bystander.next().await, Some(Packet::PingResp));
}

async fn bystander(broker: &EmbeddedBroker) -> Client {
    let mut client = Client::alice(broker).await;
    let granted = client.subscribe("hoist/p/+/+", QoS::AtLeastOnce).await;
    assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtLeastOnce));
    client
}

/// Sends raw bytes after an accepted CONNECT and expects the connection to be closed.
async fn closes_on(broker: &EmbeddedBroker, bytes: &[u8]) {
    let mut client = Client::connect(broker, device_connect("mallory")).await;
    client.connection.say_last(bytes).await;
    // The session is gone when the same client id can come in again.
    client = Client::connect(broker, device_connect("mallory")).await;
    assert_eq!(client.code, ConnectReturnCode::Success);
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
    for bad in [
        "é/x".as_bytes(),
        b"hoist/s/+/x",
        b"#",
        b"",
        b"a\0b",
        b"$share/g/x",
    ] {
        closes_on(&broker, &raw_publish(bad, 1)).await;
        still_works(&broker, &mut bystander).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn packets_out_of_place_close_only_their_sender() {
    // bad-inputs rows 6, 9 and 73
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let own = topic(Topic::Status, "mallory");
    let attacks: [&[u8]; 6] = [
        &[0x40, 2, 0, 9],
        &[0x20, 2, 0, 0],
        &[0x62, 2, 0, 1],
        &[0x30, 0xff, 0xff, 0xff, 0x7f],
        &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff],
        &raw_publish(own.as_bytes(), 2),
    ];
    for attack in attacks {
        closes_on(&broker, attack).await;
        still_works(&broker, &mut bystander).await;
    }
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
    for _ in 0..30 {
        let mut connection = Connection::new(socket(&broker).await, 20_000, PATIENCE);
        connection.write(&Packet::Connect(device_connect("mallory")));
        let mut bytes = bytes::BytesMut::new();
        Packet::Connect(device_connect("mallory"))
            .write(&mut bytes, 20_000)
            .unwrap();
        let mut stream = socket(&broker).await;
        stream.write_all(&bytes).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop((stream, connection));
    }
    let client = Client::connect(&broker, device_connect("mallory")).await;
    assert_eq!(client.code, ConnectReturnCode::Success);
    still_works(&broker, &mut bystander).await;
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
async fn nobody_comes_in_without_the_right_name_token_and_client_id() {
    // bad-inputs row 7
    let broker = broker().await;
    let mut victim = Client::connect(&broker, device_connect("victim")).await;
    let stolen_id = {
        let mut connect = device_connect("mallory");
        connect.client_id = "victim".into();
        connect
    };
    for (connect, code) in [
        (
            connect_of("x", "", ""),
            ConnectReturnCode::BadUserNamePassword,
        ),
        (
            connect_of("x", "alice", "wrong"),
            ConnectReturnCode::BadUserNamePassword,
        ),
        (
            connect_of("x", SERVICE_USER, "alice-token"),
            ConnectReturnCode::BadUserNamePassword,
        ),
        (
            connect_of("dev", "dev", "1.00"),
            ConnectReturnCode::BadUserNamePassword,
        ),
        (stolen_id, ConnectReturnCode::BadClientId),
        (device_connect("lost"), ConnectReturnCode::NotAuthorized),
    ] {
        assert_eq!(Client::connect(&broker, connect).await.code, code);
    }
    victim.connection.write(&Packet::PingReq);
    assert_eq!(
        victim.next().await,
        Some(Packet::PingResp),
        "the victim keeps its session"
    );
}

#[tokio::test]
async fn filters_beyond_the_rules_get_0x80_and_qos_2_gets_1() {
    // bad-inputs rows 2 and 4
    let broker = broker().await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for filter in [
        "#",
        "hoist/#",
        "hoist/d/d2",
        "a/#/b",
        "$share/g/hoist/g/eu",
        "é",
        "hoist/cmd/#",
    ] {
        let code = device.subscribe(filter, QoS::AtLeastOnce).await;
        assert_eq!(code, SubscribeReasonCode::Failure, "{filter}");
    }
    let code = device.subscribe("hoist/g/eu", QoS::ExactlyOnce).await;
    assert_eq!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce));
    for number in 0..15 {
        device
            .subscribe(&format!("hoist/g/g{number}"), QoS::AtLeastOnce)
            .await;
    }
    let code = device.subscribe("hoist/g/one-more", QoS::AtLeastOnce).await;
    assert_eq!(code, SubscribeReasonCode::Failure, "at most 16");
}

#[tokio::test]
async fn a_will_speaks_when_the_socket_drops_and_only_then() {
    // bad-inputs row 8
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let with_will = |topic: String| {
        let mut connect = device_connect("d1");
        connect.last_will = Some(LastWill::new(topic, "gone", QoS::AtLeastOnce, true));
        connect
    };
    let refused = Client::connect(&broker, with_will(topic(Topic::Presence, "d2"))).await;
    assert_eq!(refused.code, ConnectReturnCode::NotAuthorized);

    let client = Client::connect(&broker, with_will(topic(Topic::Presence, "d1"))).await;
    client.connection.say_last(&[0xe0, 0]).await;
    still_works(&broker, &mut bystander).await;
    let client = Client::connect(&broker, with_will(topic(Topic::Presence, "d1"))).await;
    drop(client);
    let will = bystander.receive().await;
    assert_eq!(will.payload.as_ref(), b"gone");
    let mut later = Client::alice(&broker).await;
    later.subscribe("hoist/p/#", QoS::AtLeastOnce).await;
    assert!(later.receive().await.retain, "a retained will is kept");
}

#[tokio::test]
async fn keep_alive_0_is_clamped_not_refused() {
    // bad-inputs row 11
    let broker = broker().await;
    let mut connect = device_connect("d1");
    connect.keep_alive = 0;
    let mut client = Client::connect(&broker, connect).await;
    client.connection.write(&Packet::PingReq);
    assert_eq!(client.next().await, Some(Packet::PingResp));
}

#[tokio::test]
async fn every_retained_message_reaches_a_wildcard_subscriber() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for number in 0..500 {
        service
            .publish(&format!("hoist/view/group/g{number}"), b"{}", true)
            .await;
    }
    let mut alice = Client::alice(&broker).await;
    alice.subscribe("hoist/view/#", QoS::AtMostOnce).await;
    let mut seen = BTreeMap::new();
    while seen.len() < 500 {
        let message = alice.receive().await;
        assert!(message.retain);
        *seen.entry(message.topic).or_insert(0) += 1;
    }
    assert!(seen.values().all(|count| *count == 1));
    service.publish("hoist/view/group/g0", b"", true).await;
    let mut later = Client::alice(&broker).await;
    later
        .subscribe("hoist/view/group/g0", QoS::AtMostOnce)
        .await;
    later.connection.write(&Packet::PingReq);
    assert_eq!(
        later.next().await,
        Some(Packet::PingResp),
        "an empty payload clears it"
    );
}

#[tokio::test]
async fn the_orchestrators_session_gets_everything_in_order_after_its_socket_was_killed() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    assert!(!service.present);
    service.subscribe("hoist/s/+/+", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    let status = topic(Topic::Status, "d1");
    for number in 0..300_u16 {
        device.publish(&status, &number.to_be_bytes(), true).await;
    }
    for _ in 0..300 {
        service.receive().await;
    }
    drop(service);
    for number in 300..600_u16 {
        device.publish(&status, &number.to_be_bytes(), true).await;
    }
    let mut service = Client::connect(&broker, service_connect()).await;
    assert!(service.present);
    for number in 0..600_u16 {
        let message = service.receive().await;
        assert_eq!(message.payload.as_ref(), number.to_be_bytes());
        if number < 300 {
            assert!(message.dup, "sent again, and says so");
        }
        service
            .connection
            .write(&Packet::PubAck(PubAck::new(message.pkid)));
    }
}

#[tokio::test]
async fn one_reader_gets_its_head_and_its_replies_and_the_orchestrator_its_commands() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    service.subscribe("hoist/cmd/#", QoS::AtLeastOnce).await;
    let mut alice = Client::alice(&broker).await;
    alice
        .subscribe("hoist/reply/alice/#", QoS::AtLeastOnce)
        .await;
    alice
        .publish("hoist/cmd/alice/r1/deploy", b"{}", true)
        .await;
    let command = service.receive().await;
    assert!(command.retain, "so that a retained command can be refused");
    service.acknowledge(command.pkid).await;
    assert_eq!(service.next().await, Some(Packet::PingResp));
    service.publish("hoist/reply/alice/r1", b"ok", false).await;
    assert_eq!(alice.receive().await.payload.as_ref(), b"ok");

    service.publish("hoist/d/d1", b"head", true).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    device.subscribe("hoist/d/d1", QoS::AtLeastOnce).await;
    assert!(device.receive().await.retain);
    service.publish("hoist/d/d1", b"newer", true).await;
    let live = device.receive().await;
    assert_eq!((live.payload.as_ref(), live.retain), (&b"newer"[..], false));

    let mut later = Client::connect(&broker, service_connect()).await;
    later.subscribe("hoist/cmd/#", QoS::AtLeastOnce).await;
    later.connection.write(&Packet::PingReq);
    assert_eq!(
        later.next().await,
        Some(Packet::PingResp),
        "a command is never kept"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut lazy = Client::alice(&broker).await;
    lazy.subscribe("hoist/s/#", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..2_000 {
        device
            .publish(&topic(Topic::Status, "d1"), &[0; 1_000], true)
            .await;
    }
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn a_stopped_broker_frees_its_port_and_a_taken_one_is_named() {
    let first = broker().await;
    let address = first.local_addr();
    first.self_probe().await.unwrap();
    let client = Client::alice(&first).await;
    let config = || FrontDoorConfig {
        listen: address,
        namespace: Namespace::default(),
        limits: Limits::default(),
    };
    let credentials = || {
        Arc::new(TokenCredentials {
            namespace: Namespace::default(),
            key: key(),
            service_token_sha256: [0; 32],
            people: Arc::new(Staff),
        })
    };
    let taken = EmbeddedBroker::start(config(), credentials()).await;
    assert!(matches!(taken, Err(crate::StartError::PortTaken { .. })));
    first.stop().await;
    drop(client);
    EmbeddedBroker::start(config(), credentials())
        .await
        .unwrap()
        .stop()
        .await;
}

#[tokio::test]
async fn a_dead_router_is_replaced_and_clients_come_back() {
    // bad-inputs row 14
    let broker = broker().await;
    let mut client = Client::alice(&broker).await;
    broker.hub_for_tests().restart_router();
    assert_eq!(client.next().await, None, "sessions of the dead router end");
    broker.self_probe().await.unwrap();
    let mut again = bystander(&broker).await;
    still_works(&broker, &mut again).await;
}
