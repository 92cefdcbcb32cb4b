//! A client that sends or reads too much suffers from it, and nobody else.

use hoist_protocol::rate::Rate;
use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    ConnectReturnCode, Packet, Publish, SubscribeReasonCode, UnsubAck, Unsubscribe,
};

use super::{
    Client, broker_with, bystander, connect_of, count_of, device_connect, service_connect,
    still_works, topic, until,
};
use crate::Limits;
use crate::front_door::limits::Pace;

/// So many at once, and hardly any more.
pub(super) fn pace(burst: u32) -> Pace {
    let rate = |burst| Rate {
        per_second: 1,
        burst,
    };
    Pace {
        packets: rate(burst),
        bytes: rate(1_000_000),
        connect: 10,
    }
}

impl Client {
    async fn unsubscribe(&mut self, filter: &str) {
        let mut unsubscribe = Unsubscribe::new(filter);
        unsubscribe.pkid = 2;
        self.connection.write(&Packet::Unsubscribe(unsubscribe));
        assert_eq!(self.next().await, Some(Packet::UnsubAck(UnsubAck::new(2))));
    }
}

#[tokio::test]
async fn a_device_that_floods_is_closed_and_gains_nothing_by_connecting_again() {
    // bad-inputs row 87
    let broker = broker_with(Limits {
        device_pace: pace(50),
        ..Limits::default()
    })
    .await;
    let mut bystander = bystander(&broker).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    let status = topic(Topic::Status, "d1");
    for _ in 0..100 {
        let publish = Publish::new(&status, QoS::AtMostOnce, b"x".to_vec());
        device.connection.write(&Packet::Publish(publish));
    }
    device.closed().await;
    assert_eq!(count_of(&broker, "E_FLOOD"), 1);
    let again = Client::connect(&broker, device_connect("d1")).await;
    assert_eq!(again.code, ConnectReturnCode::ServiceUnavailable);
    still_works(&broker, &mut bystander).await;
}

#[tokio::test]
async fn many_bytes_are_a_flood_too() {
    let mut limit = pace(1_000);
    limit.bytes.burst = 10_000;
    let broker = broker_with(Limits {
        device_pace: limit,
        ..Limits::default()
    })
    .await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..3 {
        device.send(&topic(Topic::Status, "d1"), &[0; 4_000]).await;
    }
    device.closed().await;
    assert_eq!(count_of(&broker, "E_FLOOD"), 1);
}

#[tokio::test]
async fn what_a_device_reads_never_reaches_the_router_and_is_forgotten() {
    // bad-inputs row 78
    let broker = broker_with(Limits {
        device_pace: pace(100_000),
        ..Limits::default()
    })
    .await;
    let hub = broker.hub_for_tests();
    let mut service = Client::connect(&broker, service_connect()).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for number in 0..500 {
        let filters = [
            format!("hoist/r/{number:032x}"),
            format!("hoist/g/g{number}"),
        ];
        for filter in filters {
            let granted = device.subscribe(&filter, QoS::AtLeastOnce).await;
            assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtLeastOnce));
            device.unsubscribe(&filter).await;
        }
    }
    assert_eq!(hub.filters(), (0, 0));
    // What it reads comes to it all the same, by name and by wildcard, and once.
    device.subscribe("hoist/g/eu", QoS::AtLeastOnce).await;
    device.subscribe("hoist/g/+", QoS::AtLeastOnce).await;
    device.subscribe("hoist/k/+", QoS::AtLeastOnce).await;
    assert_eq!(hub.filters(), (3, 0));
    for wanted in ["hoist/g/eu", "hoist/k/1"] {
        service.publish(wanted, b"signed", true).await;
        let message = device.receive().await;
        assert_eq!(message.topic, wanted);
        device.acknowledge(message.pkid).await;
    }
    drop(device);
    until("its filters are gone", || hub.filters() == (0, 0)).await;
}

#[tokio::test]
async fn a_user_brings_the_router_so_many_filters_an_hour() {
    // bad-inputs row 78
    let broker = broker_with(Limits {
        router_filters_per_hour: 3,
        operator_pace: pace(1_000),
        ..Limits::default()
    })
    .await;
    let hub = broker.hub_for_tests();
    let mut alice = Client::alice(&broker).await;
    let mut service = Client::connect(&broker, service_connect()).await;
    for number in 0..10 {
        // What is beyond is served without it, and comes all the same.
        let filter = format!("hoist/view/+/v{number}");
        let granted = alice.subscribe(&filter, QoS::AtMostOnce).await;
        assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtMostOnce));
        let view = format!("hoist/view/group/v{number}");
        service.publish(&view, b"{}", false).await;
        assert_eq!(alice.receive().await.topic, view);
        assert_eq!(hub.filters().0, usize::from(number >= 3));
        alice.unsubscribe(&filter).await;
    }
    assert_eq!(hub.filters(), (0, 3));
    // What the router has already costs nothing, whoever asks for it.
    let mut bob = Client::connect(&broker, connect_of("", "bob", "bob-token")).await;
    for _ in 0..5 {
        let granted = bob.subscribe("hoist/view/+/v1", QoS::AtMostOnce).await;
        assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtMostOnce));
        bob.unsubscribe("hoist/view/+/v1").await;
    }
}

#[tokio::test]
async fn one_user_keeps_no_other_out_and_a_fleet_keeps_no_operator_out() {
    let broker = broker_with(Limits {
        connections: 4,
        operator_connections: 5,
        user_connections: 3,
        ..Limits::default()
    })
    .await;
    let mut there = Vec::new();
    let of = |user: &str| connect_of("", user, &format!("{user}-token"));
    for _ in 0..3 {
        there.push(Client::alice(&broker).await);
    }
    let busy = ConnectReturnCode::ServiceUnavailable;
    let fourth = Client::connect(&broker, of("alice")).await;
    assert_eq!(fourth.code, busy, "so many of one user");
    // The place of who was sent away may be free a moment later.
    loop {
        let device = Client::connect(&broker, device_connect("d1")).await;
        if device.code == ConnectReturnCode::Success {
            there.push(device);
            break;
        }
    }
    let mut late = Client::connect(&broker, device_connect("d2")).await;
    assert_eq!(late.code, busy);
    late.closed().await;
    for connect in [of("bob"), service_connect()] {
        there.push(Client::connect(&broker, connect).await);
    }
    let codes = there.iter().map(|client| client.code);
    assert!(
        codes
            .into_iter()
            .all(|code| code == ConnectReturnCode::Success)
    );
}

#[tokio::test]
async fn a_flood_of_one_topic_ends_no_session_of_the_orchestrator() {
    let broker = broker_with(Limits {
        device_pace: pace(1_000_000),
        unheard: usize::MAX,
        service_queue: 200,
        service_newest_above: 20,
        service_window: 10,
        ..Limits::default()
    })
    .await;
    let mut service = Client::connect(&broker, service_connect()).await;
    service.subscribe("hoist/s/+/+", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    let status = topic(Topic::Status, "d1");
    for number in 0..2_000 {
        let payload = number.to_string();
        device.report(&status, payload.as_bytes(), true).await;
    }
    // The last word comes, after few others.
    let mut heard = 0;
    loop {
        let message = service.receive().await;
        heard += 1;
        service
            .connection
            .write(&Packet::PubAck(rumqttc::mqttbytes::v4::PubAck::new(
                message.pkid,
            )));
        if message.payload.as_ref() == b"1999" {
            break;
        }
    }
    assert!(heard < 200, "{heard}");
    assert_eq!(count_of(&broker, "E_OVERFLOW"), 0);
    drop(broker);
}

#[tokio::test]
async fn the_defaults_let_a_device_report_a_whole_update_at_once() {
    let broker = broker_with(Limits::default()).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..100 {
        device
            .report(&topic(Topic::Status, "d1"), &[0; 300], true)
            .await;
    }
}
