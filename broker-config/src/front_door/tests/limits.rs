//! Limits of one client.

use std::time::Duration;

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, Publish};

use super::{
    Client, PATIENCE, broker, broker_with, bystander, connect_of, count_of, device_connect,
    service_connect, socket, still_works, topic, until,
};
use crate::Limits;
use crate::front_door::{self, connection::Connection};
use hoist_net::tls::server::Accepted;

#[tokio::test]
async fn a_packet_over_the_limit_closes_its_sender_and_the_orchestrator_may_send_more() {
    // bad-inputs row 9
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    let publish = Publish::new(topic(Topic::Status, "d1"), QoS::AtMostOnce, vec![0; 20_000]);
    device.connection.write(&Packet::Publish(publish));
    device.closed().await;
    assert_eq!(count_of(&broker, "E_SIZE"), 1);
    still_works(&broker, &mut bystander).await;

    let mut service = Client::connect(&broker, service_connect()).await;
    bystander
        .subscribe("hoist/view/fleet", QoS::AtMostOnce)
        .await;
    service
        .publish("hoist/view/fleet", &[b' '; 500_000], false)
        .await;
    assert_eq!(bystander.receive().await.payload.len(), 500_000);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_holds_nobody_up() {
    let broker = broker_with(Limits {
        queue: 50,
        window: 10,
        ..Limits::default()
    })
    .await;
    let mut bystander = bystander(&broker).await;
    let mut lazy = Client::alice(&broker).await;
    lazy.subscribe("hoist/s/#", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..100 {
        device
            .report(&topic(Topic::Status, "d1"), &[0; 1_000], true)
            .await;
    }
    until("it is closed", || count_of(&broker, "E_OVERFLOW") == 1).await;
    lazy.closed().await;
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn a_client_that_sends_and_never_reads_is_closed() {
    let broker = broker_with(Limits {
        write: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut bystander = bystander(&broker).await;
    // A line of a known length: how much a kernel would buffer must not matter.
    let (near, far) = tokio::io::duplex(1_024);
    let hub = broker.hub_for_tests();
    tokio::spawn(async move {
        let accepted = Accepted {
            stream: Box::new(far),
            presented: None,
        };
        let line = (accepted, None);
        let (_never, room) = tokio::sync::oneshot::channel();
        front_door::open(line, &front_door::Door::Plain, &hub, room).await;
    });
    let mut client = Connection::new(near, 1 << 20, PATIENCE);
    client.write(&Packet::Connect(device_connect("d1")));
    let mut answer = client.next().await;
    while answer == Ok(None) {
        answer = client.next().await;
    }
    assert!(matches!(answer, Ok(Some(Packet::ConnAck(_)))), "{answer:?}");
    let mut line = client.into_stream();
    // More pings than there is room for answers, all along the way.
    let pings = [0xc0, 0].repeat(1 << 20);
    let flood = tokio::io::AsyncWriteExt::write_all(&mut line, &pings);
    let flooded = tokio::time::timeout(PATIENCE, flood).await;
    assert!(flooded.expect("it is never closed").is_err());
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn above_the_connection_cap_only_operators_and_the_orchestrator_come_in() {
    let broker = broker_with(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let mut bystander = bystander(&broker).await;
    let device = Client::connect(&broker, device_connect("d1")).await;
    let third = Client::connect(&broker, device_connect("d2")).await;
    assert_eq!(third.code, ConnectReturnCode::ServiceUnavailable);
    let bob = Client::connect(&broker, connect_of("", "bob", "bob-token")).await;
    assert_eq!(bob.code, ConnectReturnCode::Success);
    let service = Client::connect(&broker, service_connect()).await;
    assert_eq!(service.code, ConnectReturnCode::Success);
    assert_eq!(count_of(&broker, "E_BUSY"), 1);
    drop((device, third, bob, service));
    until("places are free", || broker.stats().sessions == 2).await;
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn a_storm_of_connects_is_paced_and_holds_no_session_up() {
    // bad-inputs row 10
    let broker = broker_with(Limits {
        connects_per_second: 3,
        ..Limits::default()
    })
    .await;
    let mut service = Client::connect(&broker, service_connect()).await;
    let mut storm = Vec::new();
    for _ in 0..11 {
        storm.push(socket(&broker).await);
    }
    let mut alice = Client::dial(&broker, connect_of("", "alice", "alice-token")).await;
    // Whoever comes now waits for seconds; whoever is in does not.
    tokio::select! {
        () = service.hears_nothing() => {}
        _ = alice.next() => panic!("a session waited, or nobody was paced"),
    }
    assert!(matches!(alice.next().await, Some(Packet::ConnAck(_))));
}

#[tokio::test]
async fn a_probe_leaves_no_trace() {
    let broker = broker().await;
    broker.self_probe().await.unwrap();
    assert_eq!(broker.stats(), crate::StatsSnapshot::default());
}
