//! Messages come to those who subscribed, and to nobody else.

use std::collections::BTreeMap;

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, SubscribeReasonCode, UnsubAck, Unsubscribe};

use super::{Client, broker, device_connect, service_connect, topic};

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
async fn one_reader_gets_its_spec_and_its_replies_and_the_orchestrator_its_commands() {
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
    service.publish("hoist/reply/alice/r1", b"ok", false).await;
    assert_eq!(alice.receive().await.payload.as_ref(), b"ok");

    service.publish("hoist/d/d1", b"spec", true).await;
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
async fn a_device_reads_its_own_status_back_and_people_watch_one_device() {
    let broker = broker().await;
    let (status, presence) = (topic(Topic::Status, "d1"), topic(Topic::Presence, "d1"));
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    device.report(&status, b"1", true).await;
    device.subscribe(&status, QoS::AtLeastOnce).await;
    let own = device.receive().await;
    assert_eq!((own.payload.as_ref(), own.retain), (&b"1"[..], true));
    device.acknowledge(own.pkid).await;

    let mut alice = Client::alice(&broker).await;
    alice.subscribe(&presence, QoS::AtLeastOnce).await;
    device.report(&presence, b"here", false).await;
    let seen = alice.receive().await;
    assert_eq!(seen.payload.as_ref(), b"here");
    alice.acknowledge(seen.pkid).await;
    unsubscribe(&mut alice, &presence).await;
    device.report(&presence, b"still", false).await;
    alice.hears_nothing().await;
}

async fn unsubscribe(client: &mut Client, filter: &str) {
    let mut packet = Unsubscribe::new(filter.to_owned());
    packet.pkid = 3;
    client.connection.write(&Packet::Unsubscribe(packet));
    let answer = client.next().await;
    assert_eq!(answer, Some(Packet::UnsubAck(UnsubAck::new(3))));
}

#[tokio::test]
async fn after_an_unsubscribe_nothing_comes_any_more() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    let mut alice = Client::alice(&broker).await;
    alice.subscribe("hoist/view/#", QoS::AtLeastOnce).await;
    alice.subscribe("hoist/event/#", QoS::AtLeastOnce).await;
    unsubscribe(&mut alice, "hoist/view/#").await;
    service.publish("hoist/view/fleet", b"{}", false).await;
    service.publish("hoist/event/done", b"{}", false).await;
    assert_eq!(alice.receive().await.topic, "hoist/event/done");
}

#[tokio::test]
async fn a_message_comes_at_the_lower_of_both_qualities() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    let mut alice = Client::alice(&broker).await;
    alice.subscribe("hoist/view/#", QoS::AtMostOnce).await;
    alice.subscribe("hoist/event/#", QoS::AtLeastOnce).await;
    for (topic, expected) in [
        ("hoist/view/fleet", QoS::AtMostOnce),
        ("hoist/event/done", QoS::AtLeastOnce),
    ] {
        service.publish(topic, b"{}", false).await;
        assert_eq!(alice.receive().await.qos, expected);
    }
}
