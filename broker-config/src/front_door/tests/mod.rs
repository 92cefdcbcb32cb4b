//! Real sockets against the real door, with a bystander who must not notice what others
//! do. Here is what the tests share.

mod commands;
mod enrolling;
mod floods;
mod kills;
mod limits;
mod messages;
mod places;
mod probes;
mod reports;
mod reviews;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use hoist_protocol::access::Role;
use hoist_protocol::id::{ClaimId, DeviceId, Namespace, UserId};
use hoist_protocol::rate::Rate;
use hoist_protocol::topic::{Topic, Topics};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, Subscribe, SubscribeReasonCode,
};
use tokio::net::TcpStream;

use super::connection::Connection;
use super::limits::Pace;
use crate::credentials::{
    People, Refusal, SERVICE_USER, Shown, TokenCredentials, TokenKey, User, hash_user_token,
};
use crate::{EmbeddedBroker, FrontDoorConfig, Limits};

const PATIENCE: Duration = Duration::from_secs(20);

struct Staff;

impl People for Staff {
    fn user(&self, name: &UserId) -> Option<User> {
        ["alice", "bob", "twin"]
            .contains(&name.as_str())
            .then(|| User {
                role: Role::Admin,
                groups: Vec::new(),
                token_sha256: hash_user_token(&format!("{name}-token")),
            })
    }

    fn admits(&self, device: &DeviceId, shown: Shown) -> Result<(), Refusal> {
        match shown {
            Shown::Token(..2) if device.as_str() == "lost" => Err(Refusal::Revoked),
            _ => Ok(()),
        }
    }

    fn knows_claim(&self, _: &ClaimId) -> bool {
        true
    }

    fn version(&self) -> u64 {
        0
    }
}

fn key() -> TokenKey {
    TokenKey::new([7; 32])
}

fn credentials() -> Arc<TokenCredentials> {
    credentials_of(Arc::new(Staff))
}

fn credentials_of(people: Arc<dyn People>) -> Arc<TokenCredentials> {
    Arc::new(TokenCredentials {
        namespace: Namespace::default(),
        key: key(),
        service_token_sha256: hash_user_token("service-token"),
        people,
    })
}

async fn broker_with(limits: Limits) -> EmbeddedBroker {
    let config = FrontDoorConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        namespace: Namespace::default(),
        limits,
        tls: None,
    };
    EmbeddedBroker::start(config, credentials()).await.unwrap()
}

async fn broker() -> EmbeddedBroker {
    broker_with(Limits {
        handshake: Duration::from_millis(300),
        device_pace: generous(),
        unheard: usize::MAX,
        ..Limits::default()
    })
    .await
}

/// For tests that send more than any device has to say.
fn generous() -> Pace {
    let rate = Rate {
        per_second: 1_000_000,
        burst: 100_000_000,
    };
    Pace {
        packets: rate,
        bytes: rate,
        connect: 1,
    }
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
    /// Sends a CONNECT and waits for nothing.
    async fn dial(broker: &EmbeddedBroker, connect: Connect) -> Self {
        let mut connection = Connection::new(socket(broker).await, 1 << 20, PATIENCE);
        connection.write(&Packet::Connect(connect));
        // Written at once, not when the answer is awaited.
        connection.flush().await;
        Self {
            connection,
            code: ConnectReturnCode::Success,
            present: false,
        }
    }

    async fn connect(broker: &EmbeddedBroker, connect: Connect) -> Self {
        let mut client = Self::dial(broker, connect).await;
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

    /// Waits until the broker has closed the connection.
    async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Proves that nothing was sent before the answer to a ping.
    async fn hears_nothing(&mut self) {
        self.connection.write(&Packet::PingReq);
        assert_eq!(self.next().await, Some(Packet::PingResp));
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

    /// Publishes, retained, and waits for nothing.
    async fn send(&mut self, topic: &str, payload: &[u8]) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.retain) = (7, true);
        self.connection.write(&Packet::Publish(publish));
        self.connection.flush().await;
    }

    async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.retain) = (7, retain);
        self.connection.write(&Packet::Publish(publish));
        assert_eq!(self.next().await, Some(Packet::PubAck(PubAck::new(7))));
    }

    /// Publishes as a device does, and waits until it was taken: acknowledged it is when the
    /// orchestrator has done so.
    async fn report(&mut self, topic: &str, payload: &[u8], retain: bool) {
        self.report_as(7, topic, payload, retain).await;
    }

    /// The same under another packet id; the acknowledgments that came meanwhile.
    async fn report_as(&mut self, id: u16, topic: &str, payload: &[u8], retain: bool) -> Vec<u16> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.retain) = (id, retain);
        self.connection.write(&Packet::Publish(publish));
        self.acknowledged().await
    }

    /// The acknowledgments that came before the answer to a ping.
    async fn acknowledged(&mut self) -> Vec<u16> {
        self.connection.write(&Packet::PingReq);
        let mut acknowledged = Vec::new();
        loop {
            match self.next().await {
                Some(Packet::PubAck(ack)) => acknowledged.push(ack.pkid),
                Some(Packet::PingResp) => return acknowledged,
                other => panic!("no PUBACK but {other:?}"),
            }
        }
    }

    async fn receive(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("no PUBLISH but {other:?}"),
        }
    }

    async fn acknowledge(&mut self, id: u16) {
        self.connection.write(&Packet::PubAck(PubAck::new(id)));
        // The ping behind it proves that it was taken.
        self.hears_nothing().await;
    }
}

/// A message still goes from one client to another.
async fn still_works(broker: &EmbeddedBroker, bystander: &mut Client) {
    let mut device = Client::connect(broker, device_connect("canary")).await;
    device
        .report(&topic(Topic::Presence, "canary"), b"here", false)
        .await;
    let message = bystander.receive().await;
    assert_eq!(message.payload.as_ref(), b"here");
    bystander.acknowledge(message.pkid).await;
}

async fn bystander(broker: &EmbeddedBroker) -> Client {
    let mut client = Client::alice(broker).await;
    let granted = client.subscribe("hoist/p/+/+", QoS::AtLeastOnce).await;
    assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtLeastOnce));
    client
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn count_of(broker: &EmbeddedBroker, code: &str) -> u64 {
    broker.stats().closed.get(code).copied().unwrap_or(0)
}

fn with_will(device: &str, topic: String) -> Connect {
    let mut connect = device_connect(device);
    connect.last_will = Some(LastWill::new(topic, "gone", QoS::AtLeastOnce, true));
    connect
}
