//! Devices that enroll: whoever has a claim takes its share and no more.

use std::time::Duration;

use hoist_protocol::enroll::USER_PREFIX;
use hoist_protocol::id::Namespace;
use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};

use super::{Client, broker_with, connect_of, key, service_connect, topic, until};
use crate::Limits;

pub(super) fn enrolling(device: &str, claim: &str) -> Connect {
    let secret = key().claim_secret(&Namespace::default(), &claim.parse().unwrap());
    connect_of(device, &format!("{USER_PREFIX}{claim}"), &secret.password())
}

#[tokio::test]
async fn one_claim_takes_its_own_places_alone_and_gives_them_back() {
    let broker = broker_with(Limits {
        claim_connections: 2,
        ..Limits::default()
    })
    .await;
    let mut there = Vec::new();
    for device in ["d1", "d2"] {
        there.push(Client::connect(&broker, enrolling(device, "c-1")).await);
    }
    let busy = Client::connect(&broker, enrolling("d3", "c-1")).await;
    assert_eq!(busy.code, ConnectReturnCode::ServiceUnavailable);
    let other = Client::connect(&broker, enrolling("d3", "c-2")).await;
    assert_eq!(other.code, ConnectReturnCode::Success);
    drop((there, other));
    until("all are gone", || broker.stats().sessions == 0).await;
    let again = Client::connect(&broker, enrolling("d3", "c-1")).await;
    assert_eq!(again.code, ConnectReturnCode::Success);
}

#[tokio::test]
async fn an_enrollment_ends_in_time_whatever_its_client_says() {
    let broker = broker_with(Limits {
        enrolling: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    let mut device = Client::connect(&broker, enrolling("d1", "c-1")).await;
    assert_eq!(device.code, ConnectReturnCode::Success);
    device.closed().await;
    until("its place is free", || broker.stats().sessions == 0).await;
}

#[tokio::test]
async fn what_devices_say_while_they_enroll_is_nothing_that_the_router_keeps() {
    let broker = broker_with(Limits::default()).await;
    let hub = broker.hub_for_tests();
    let mut service = Client::connect(&broker, service_connect()).await;
    service.subscribe("hoist/e/+/+", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, enrolling("d1", "c-1")).await;
    let answers = topic(Topic::EnrollAnswer, "d1");
    device.subscribe(&answers, QoS::AtLeastOnce).await;
    assert_eq!(hub.filters(), (2, 0));
    let asked = topic(Topic::EnrollRequest, "d1");
    device.publish(&asked, b"request", false).await;
    assert_eq!(service.take().await.topic, asked);
    service.publish(&answers, b"answer", false).await;
    assert_eq!(device.take().await.topic, answers);
    drop(device);
    until("it leaves nothing", || hub.filters() == (1, 0)).await;
}
