//! Commands for which the orchestrator has no room, and users who ask for much.

use std::time::{Duration, Instant};

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    ConnectReturnCode, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
};
use tokio::sync::mpsc;

use super::floods::pace;
use super::{
    Client, broker_with, connect_of, count_of, device_connect, service_connect, topic, until,
    with_will,
};
use crate::credentials::{Credentials, Login, SERVICE_USER};
use crate::front_door::inbox::{Handle, ToSession};
use crate::front_door::owner::Owner;
use crate::{EmbeddedBroker, Limits};

/// An orchestrator that takes so many commands and does nothing with them.
fn orchestrator(broker: &EmbeddedBroker, room: usize) -> (Handle, mpsc::Receiver<ToSession>) {
    let hub = broker.hub_for_tests();
    let login = Login {
        client_id: "orchestrator",
        user: SERVICE_USER,
        token: "service-token",
        certificate: None,
    };
    let pass = super::credentials().authenticate(&login).unwrap();
    let (sender, inbox) = mpsc::channel(room);
    let handle = hub.enter(&(Owner::Service, "orchestrator".to_owned()), sender, pass);
    (handle, inbox)
}

fn payload_of(told: Option<ToSession>) -> bytes::Bytes {
    match told {
        Some(ToSession::Deliver(message)) => message.payload,
        _ => panic!("no message"),
    }
}

async fn bob(broker: &EmbeddedBroker) -> Client {
    Client::connect(broker, connect_of("", "bob", "bob-token")).await
}

fn command(user: &str, number: usize) -> Publish {
    let topic = format!("hoist/cmd/{user}/r{number}/plan");
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, number.to_string());
    publish.pkid = u16::try_from(number).unwrap() + 1;
    publish
}

fn acknowledged(number: usize) -> Option<Packet> {
    Some(Packet::PubAck(PubAck::new(
        u16::try_from(number).unwrap() + 1,
    )))
}

#[tokio::test]
async fn a_command_without_room_waits_with_its_sender_who_stays_and_nobody_is_closed() {
    // bad-inputs row 77
    let broker = broker_with(Limits::default()).await;
    let (_handle, mut inbox) = orchestrator(&broker, 1);
    let mut alice = Client::alice(&broker).await;
    let mut bob = bob(&broker).await;
    for number in 0..2 {
        alice
            .connection
            .write(&Packet::Publish(command("alice", number)));
    }
    assert_eq!(alice.next().await, acknowledged(0));
    alice.hears_nothing().await;
    bob.connection.write(&Packet::Publish(command("bob", 2)));
    bob.hears_nothing().await;
    for payload in ["0", "1", "2"] {
        assert_eq!(payload_of(inbox.recv().await), payload);
    }
    assert_eq!(alice.next().await, acknowledged(1));
    assert_eq!(bob.next().await, acknowledged(2));
    assert!(broker.stats().closed.is_empty(), "{:?}", broker.stats());
}

#[tokio::test]
async fn one_user_takes_a_share_of_what_waits_for_the_orchestrator_and_no_more() {
    let broker = broker_with(Limits::default()).await;
    let (_handle, mut inbox) = orchestrator(&broker, 4_096);
    let mut alice = [Client::alice(&broker).await, Client::alice(&broker).await];
    for number in 0..256 {
        let client = &mut alice[number % 2];
        client
            .connection
            .write(&Packet::Publish(command("alice", number)));
        assert_eq!(client.next().await, acknowledged(number));
    }
    for client in &mut alice {
        client
            .connection
            .write(&Packet::Publish(command("alice", 300)));
        client.hears_nothing().await;
    }
    let mut bob = bob(&broker).await;
    bob.connection.write(&Packet::Publish(command("bob", 1)));
    assert_eq!(bob.next().await, acknowledged(1));
    // One that is done with makes room for another.
    drop(inbox.recv().await);
    assert_eq!(alice[0].next().await, acknowledged(300));
    alice[1].hears_nothing().await;
}

#[tokio::test]
async fn a_command_arrives_although_no_report_is_acknowledged_any_more() {
    // bad-inputs row 65
    let broker = broker_with(Limits {
        service_window: 2,
        ..Limits::default()
    })
    .await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for filter in ["hoist/p/+/+", "hoist/cmd/+/+/+"] {
        service.subscribe(filter, QoS::AtLeastOnce).await;
    }
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..4 {
        let presence = topic(Topic::Presence, "d1");
        device.report(&presence, b"here", false).await;
    }
    let reports = [service.receive().await.pkid, service.receive().await.pkid];
    service.hears_nothing().await;
    let mut alice = Client::alice(&broker).await;
    for number in 0..3 {
        let command = Packet::Publish(command("alice", number));
        alice.connection.write(&command);
        assert_eq!(alice.next().await, acknowledged(number));
        let heard = service.receive().await;
        assert_eq!(heard.payload, number.to_string());
        service.acknowledge(heard.pkid).await;
    }
    for report in reports {
        service
            .connection
            .write(&Packet::PubAck(PubAck::new(report)));
        assert_eq!(service.receive().await.payload.as_ref(), b"here");
    }
}

#[tokio::test]
async fn a_user_who_owes_goes_on_acknowledging_and_pinging() {
    let mut limit = pace(40);
    limit.packets.per_second = 1;
    let broker = broker_with(Limits {
        operator_pace: limit,
        window: 1,
        ..Limits::default()
    })
    .await;
    let mut alice = Client::alice(&broker).await;
    let presence = "hoist/p/+/+".to_owned();
    let filters = vec![SubscribeFilter::new(presence, QoS::AtLeastOnce); 12];
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 1;
    alice.connection.write(&Packet::Subscribe(subscribe));
    assert!(matches!(alice.next().await, Some(Packet::SubAck(_))));
    // It owes a minute and more by now.
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..3 {
        let presence = topic(Topic::Presence, "d1");
        device.report(&presence, b"here", false).await;
    }
    for _ in 0..3 {
        let message = alice.receive().await;
        alice
            .connection
            .write(&Packet::PubAck(PubAck::new(message.pkid)));
    }
    alice.hears_nothing().await;
    alice.connection.say_last(&[0xe0, 0]).await;
    until("it said goodbye", || broker.stats().sessions == 1).await;
    assert!(broker.stats().closed.is_empty(), "{:?}", broker.stats());
}

#[tokio::test]
async fn a_goodbye_is_no_flood_and_leaves_no_will() {
    let broker = broker_with(Limits {
        device_pace: pace(11),
        ..Limits::default()
    })
    .await;
    let will = with_will("d1", topic(Topic::Presence, "d1"));
    let mut device = Client::connect(&broker, will).await;
    device.hears_nothing().await;
    // Nothing is left now.
    device.connection.say_last(&[0xe0, 0]).await;
    until("it is gone", || broker.stats().sessions == 0).await;
    let stats = broker.stats();
    assert_eq!((stats.closed.len(), stats.published), (0, 0));
}

#[tokio::test]
async fn a_user_that_sends_too_fast_is_read_more_slowly_on_all_connections_and_loses_nothing() {
    let mut limit = pace(30);
    limit.packets.per_second = 100;
    let broker = broker_with(Limits {
        operator_pace: limit,
        ..Limits::default()
    })
    .await;
    let mut service = Client::connect(&broker, service_connect()).await;
    service.subscribe("hoist/cmd/+/+/+", QoS::AtMostOnce).await;
    let began = Instant::now();
    let mut alice = [Client::alice(&broker).await, Client::alice(&broker).await];
    for number in 0..60 {
        let client = &mut alice[number % 2];
        client
            .connection
            .write(&Packet::Publish(command("alice", number)));
        client.connection.flush().await;
    }
    let mut heard = Vec::new();
    for _ in 0..60 {
        heard.push(service.receive().await.payload);
    }
    // Two connects and sixty commands, less what may be sent at once and the last of each,
    // which waits for nothing any more.
    let least = Duration::from_millis((2 * 10 + 60 * 2 - 30 - 2 * 2) * 10 - 10);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    heard.sort_by_key(|payload| String::from_utf8_lossy(payload).parse::<usize>().unwrap());
    heard.dedup();
    assert_eq!(heard.len(), 60);
    assert!(broker.stats().closed.is_empty(), "{:?}", broker.stats());
}

#[tokio::test]
async fn a_user_who_connects_too_often_waits_and_is_let_in() {
    let mut limit = pace(30);
    limit.packets.per_second = 100;
    let broker = broker_with(Limits {
        operator_pace: limit,
        ..Limits::default()
    })
    .await;
    let began = Instant::now();
    for _ in 0..10 {
        let client = Client::connect(&broker, connect_of("", "alice", "alice-token")).await;
        assert_eq!(client.code, ConnectReturnCode::Success);
    }
    assert!(began.elapsed() >= Duration::from_millis((10 * 10 - 30) * 10 - 10));
    assert_eq!(count_of(&broker, "E_FLOOD"), 0);
}

#[tokio::test]
async fn a_user_who_would_wait_for_longer_than_a_handshake_is_told_to_come_later() {
    let broker = broker_with(Limits {
        operator_pace: pace(10),
        ..Limits::default()
    })
    .await;
    let first = Client::alice(&broker).await;
    let second = Client::connect(&broker, connect_of("", "alice", "alice-token")).await;
    assert_eq!(second.code, ConnectReturnCode::ServiceUnavailable);
    drop(first);
}
