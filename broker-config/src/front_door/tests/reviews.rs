//! A client that may not come in any more may not stay either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoist_protocol::access::Role;
use hoist_protocol::id::{ClaimId, DeviceId, Namespace, UserId};
use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::ConnectReturnCode;
use tokio::time::Instant;

use super::enrolling::enrolling;
use super::{
    Client, connect_of, count_of, credentials_of, device_connect, service_connect, topic, with_will,
};
use crate::credentials::{People, Refusal, Shown, User, hash_user_token};
use crate::{EmbeddedBroker, FrontDoorConfig, Limits};

/// From a change to the end of a session.
const AT_ONCE: Duration = Duration::from_secs(1);

/// People who come and go.
#[derive(Default)]
struct Passing {
    users: Mutex<BTreeMap<String, User>>,
    revoked: Mutex<BTreeSet<String>>,
    replaced: Mutex<BTreeSet<String>>,
    ended: Mutex<BTreeSet<String>>,
    version: AtomicU64,
}

impl Passing {
    fn put(&self, name: &str, role: Role, token: &str) {
        let user = User {
            role,
            groups: Vec::new(),
            token_sha256: hash_user_token(token),
        };
        self.users.lock().unwrap().insert(name.to_owned(), user);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn remove(&self, name: &str) {
        self.users.lock().unwrap().remove(name);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn replace(&self, device: &str) {
        self.replaced.lock().unwrap().insert(device.to_owned());
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn end_claim(&self, claim: &str) {
        self.ended.lock().unwrap().insert(claim.to_owned());
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn revoke(&self, device: &str) {
        self.revoked.lock().unwrap().insert(device.to_owned());
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl People for Passing {
    fn user(&self, name: &UserId) -> Option<User> {
        self.users.lock().unwrap().get(name.as_str()).cloned()
    }

    fn admits(&self, device: &DeviceId, shown: Shown) -> Result<(), Refusal> {
        let is_in = |list: &Mutex<BTreeSet<String>>| list.lock().unwrap().contains(device.as_str());
        match shown {
            Shown::Token(..=1) if is_in(&self.revoked) => Err(Refusal::Revoked),
            Shown::Token(..=1) if is_in(&self.replaced) => Err(Refusal::Replaced),
            _ => Ok(()),
        }
    }

    fn knows_claim(&self, claim: &ClaimId) -> bool {
        !self.ended.lock().unwrap().contains(claim.as_str())
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

async fn broker() -> (EmbeddedBroker, Arc<Passing>) {
    let people = Arc::new(Passing::default());
    people.put("alice", Role::Admin, "alice-token");
    let config = FrontDoorConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        namespace: Namespace::default(),
        limits: Limits::default(),
        tls: None,
    };
    let credentials = credentials_of(Arc::clone(&people) as Arc<dyn People>);
    let broker = EmbeddedBroker::start(config, credentials).await.unwrap();
    (broker, people)
}

/// The broker closes the connection within a second of `change`.
async fn is_turned_out(client: &mut Client, change: impl FnOnce()) {
    // On a clock that only moves while nobody has anything to do, not on that of a busy machine.
    tokio::time::pause();
    let before = Instant::now();
    change();
    client.closed().await;
    let took = before.elapsed();
    tokio::time::resume();
    assert!(took <= AT_ONCE, "it stays for {took:?}");
}

#[tokio::test]
async fn a_revoked_device_is_turned_out_and_not_let_in_again() {
    let (broker, people) = broker().await;
    let mut other = Client::connect(&broker, device_connect("d2")).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    is_turned_out(&mut device, || people.revoke("d1")).await;
    let refused = Client::connect(&broker, device_connect("d1")).await;
    assert_eq!(refused.code, ConnectReturnCode::NotAuthorized);
    assert_eq!(count_of(&broker, "E_REVOKED"), 2);
    other.hears_nothing().await;
}

#[tokio::test]
async fn a_revoked_device_says_and_hears_nothing_more_from_that_moment() {
    let (broker, people) = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for below in ["hoist/i/+/+", "hoist/cmd/#"] {
        service.subscribe(below, QoS::AtLeastOnce).await;
    }
    let [spec, info] = [topic(Topic::DeviceSpec, "d1"), topic(Topic::Info, "d1")];
    let mut deaf = Client::connect(&broker, device_connect("d1")).await;
    deaf.subscribe(&spec, QoS::AtLeastOnce).await;
    people.revoke("d1");
    // The spec of its next life, which begins at once.
    service.publish(&spec, b"next life", true).await;
    // Of its former one it hears that it is over, and nothing more.
    let last = deaf.receive().await;
    assert_eq!(
        (last.topic.as_str(), last.payload.as_ref()),
        (spec.as_str(), &b""[..])
    );
    assert_eq!(deaf.next().await, None);

    let info_of_d2 = topic(Topic::Info, "d2");
    let mut dumb = Client::connect(&broker, device_connect("d2")).await;
    people.revoke("d2");
    dumb.send(&info_of_d2, b"key of its former life").await;
    assert_eq!(dumb.next().await, None);
    let mut alice = Client::alice(&broker).await;
    alice
        .publish("hoist/cmd/alice/r1/group-list", b"{}", false)
        .await;
    loop {
        let received = service.receive().await;
        if received.topic.starts_with("hoist/cmd/") {
            break;
        }
        // A retained message that was cleared is the only thing to be heard of them.
        assert!([&info, &info_of_d2].contains(&&received.topic));
        assert_eq!(received.payload.as_ref(), b"");
    }
}

#[tokio::test]
async fn a_revoked_device_leaves_nothing_behind_not_even_its_will() {
    let (broker, people) = broker().await;
    let reports = [Topic::Status, Topic::Presence, Topic::Info].map(|of| topic(of, "d1"));
    let mut device = Client::connect(&broker, with_will("d1", reports[1].clone())).await;
    for report in &reports {
        device.report(report, b"said", true).await;
    }
    is_turned_out(&mut device, || people.revoke("d1")).await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for report in &reports {
        service.subscribe(report, QoS::AtLeastOnce).await;
    }
    service.hears_nothing().await;
}

#[tokio::test]
async fn a_device_with_a_replaced_token_is_turned_out_with_its_will_and_told_to_bring_another() {
    let (broker, people) = broker().await;
    let presence = topic(Topic::Presence, "d1");
    let mut device = Client::connect(&broker, with_will("d1", presence.clone())).await;
    let info = topic(Topic::Info, "d1");
    device.report(&info, b"said", true).await;
    is_turned_out(&mut device, || people.replace("d1")).await;
    let refused = Client::connect(&broker, device_connect("d1")).await;
    assert_eq!(refused.code, ConnectReturnCode::BadUserNamePassword);
    assert_eq!(count_of(&broker, "E_REVOKED"), 0);
    let mut service = Client::connect(&broker, service_connect()).await;
    for report in [&presence, &info] {
        service.subscribe(report, QoS::AtLeastOnce).await;
        let received = service.receive().await;
        assert_eq!(
            (&received.topic, received.payload.is_empty()),
            (report, false)
        );
    }
}

#[tokio::test]
async fn a_user_who_is_removed_or_may_do_something_else_is_turned_out() {
    let (broker, people) = broker().await;
    people.put("vera", Role::Viewer, "vera-token");
    let vera = || connect_of("", "vera", "vera-token");
    let mut alice = Client::alice(&broker).await;

    let mut client = Client::connect(&broker, vera()).await;
    is_turned_out(&mut client, || {
        people.put("vera", Role::Admin, "vera-token");
    })
    .await;
    let mut client = Client::connect(&broker, vera()).await;
    assert_eq!(client.code, ConnectReturnCode::Success);
    is_turned_out(&mut client, || people.put("vera", Role::Admin, "another")).await;
    let refused = Client::connect(&broker, vera()).await;
    assert_eq!(refused.code, ConnectReturnCode::BadUserNamePassword);
    let mut client = Client::connect(&broker, connect_of("", "vera", "another")).await;
    is_turned_out(&mut client, || people.remove("vera")).await;
    // What changes for others changes nothing for her.
    alice.hears_nothing().await;
}

#[tokio::test]
async fn whoever_came_by_a_claim_that_is_revoked_is_turned_out_and_not_let_in_again() {
    let (broker, people) = broker().await;
    let mut other = Client::connect(&broker, enrolling("d2", "c-2")).await;
    let mut device = Client::connect(&broker, enrolling("d1", "c-1")).await;
    assert_eq!(device.code, ConnectReturnCode::Success);
    is_turned_out(&mut device, || people.end_claim("c-1")).await;
    let refused = Client::connect(&broker, enrolling("d1", "c-1")).await;
    assert_eq!(refused.code, ConnectReturnCode::BadUserNamePassword);
    other.hears_nothing().await;
}
