//! Sessions: their owners, their begin and their end.

use std::time::Duration;

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, PubAck};

use super::{
    Client, broker, broker_with, bystander, connect_of, count_of, credentials, device_connect, key,
    service_connect, still_works, topic, until, with_will,
};
use crate::credentials::SERVICE_USER;
use crate::{EmbeddedBroker, FrontDoorConfig, Limits};
use hoist_protocol::id::Namespace;

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
async fn a_device_called_like_a_user_comes_in_by_its_own_token() {
    let broker = broker().await;
    for connect in [
        device_connect("twin"),
        connect_of("x", "twin", "twin-token"),
    ] {
        let client = Client::connect(&broker, connect).await;
        assert_eq!(client.code, ConnectReturnCode::Success);
    }
    let other = key().device_token(&Namespace::default(), &"d2".parse().unwrap(), 1);
    let foreign = Client::connect(&broker, connect_of("twin", "twin", &other)).await;
    assert_eq!(foreign.code, ConnectReturnCode::BadUserNamePassword);
}

#[tokio::test]
async fn a_client_that_connects_again_takes_over_only_its_own_session() {
    // bad-inputs row 7
    let broker = broker().await;
    let mut watcher = bystander(&broker).await;
    let will = with_will("d1", topic(Topic::Presence, "d1"));
    let mut first = Client::connect(&broker, will).await;
    let mut bob = Client::connect(&broker, connect_of("same", "bob", "bob-token")).await;
    let mut alice = Client::connect(&broker, connect_of("same", "alice", "alice-token")).await;

    let mut second = Client::connect(&broker, device_connect("d1")).await;
    first.closed().await;
    assert_eq!(watcher.receive().await.payload.as_ref(), b"gone");
    second.hears_nothing().await;
    Client::connect(&broker, connect_of("same", "alice", "alice-token")).await;
    alice.closed().await;
    bob.hears_nothing().await;
    assert_eq!(count_of(&broker, "E_TAKEN_OVER"), 2);
}

#[tokio::test]
async fn of_many_connects_at_the_same_moment_one_session_remains() {
    let broker = broker().await;
    let all = connects_at_once(&broker, 20).await;
    until("one session remains", || broker.stats().sessions == 1).await;
    drop(all);
    until("no session remains", || broker.stats().sessions == 0).await;
}

async fn connects_at_once(broker: &EmbeddedBroker, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::dial(broker, device_connect("d1")).await);
    }
    for client in &mut clients {
        client.next().await;
    }
    clients
}

#[tokio::test]
async fn only_the_orchestrator_gets_a_persistent_session() {
    let broker = broker().await;
    let mut service = Client::connect(&broker, service_connect()).await;
    let persistent = || {
        let mut connect = device_connect("d1");
        connect.clean_session = false;
        connect
    };
    let mut device = Client::connect(&broker, persistent()).await;
    device.subscribe("hoist/d/d1", QoS::AtLeastOnce).await;
    drop(device);
    until("it is gone", || broker.stats().sessions == 1).await;
    service.publish("hoist/d/d1", b"spec", false).await;
    let mut device = Client::connect(&broker, persistent()).await;
    assert!(!device.present);
    device.hears_nothing().await;
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
        device.report(&status, &number.to_be_bytes(), true).await;
    }
    for _ in 0..300 {
        service.receive().await;
    }
    drop(service);
    for number in 300..600_u16 {
        device.report(&status, &number.to_be_bytes(), true).await;
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
async fn a_new_socket_of_the_orchestrator_takes_its_session_over() {
    let broker = broker().await;
    let mut first = Client::connect(&broker, service_connect()).await;
    first.subscribe("hoist/s/#", QoS::AtLeastOnce).await;
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    device.report(&topic(Topic::Status, "d1"), b"1", true).await;
    assert!(!first.receive().await.dup);
    let mut second = Client::connect(&broker, service_connect()).await;
    assert!(second.present);
    first.closed().await;
    let again = second.receive().await;
    assert!(again.dup);
    second.acknowledge(again.pkid).await;
    device.report(&topic(Topic::Status, "d1"), b"2", true).await;
    assert_eq!(second.receive().await.payload.as_ref(), b"2");
}

#[tokio::test]
async fn an_offline_queue_that_overflows_ends_the_orchestrators_session() {
    let broker = broker_with(Limits {
        service_window: 1,
        service_queue: 5,
        ..Limits::default()
    })
    .await;
    let mut service = Client::connect(&broker, service_connect()).await;
    service.subscribe("hoist/s/#", QoS::AtLeastOnce).await;
    drop(service);
    let mut device = Client::connect(&broker, device_connect("d1")).await;
    for _ in 0..10 {
        device.report(&topic(Topic::Status, "d1"), b"x", true).await;
    }
    until("its session ended", || broker.stats().sessions == 1).await;
    let service = Client::connect(&broker, service_connect()).await;
    assert!(!service.present, "it is told that something was lost");
}

#[tokio::test]
async fn a_will_speaks_when_the_socket_drops_and_only_then() {
    // bad-inputs row 8
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let refused = Client::connect(&broker, with_will("d1", topic(Topic::Presence, "d2"))).await;
    let wrong = ConnectReturnCode::BadUserNamePassword;
    assert_eq!(refused.code, wrong, "it is not told that it was removed");
    let mut alice = connect_of("", "alice", "alice-token");
    alice.last_will = with_will("d1", topic(Topic::Presence, "d1")).last_will;
    let refused = Client::connect(&broker, alice).await;
    assert_eq!(refused.code, ConnectReturnCode::NotAuthorized);

    let client = Client::connect(&broker, with_will("d1", topic(Topic::Presence, "d1"))).await;
    client.connection.say_last(&[0xe0, 0]).await;
    still_works(&broker, &mut bystander).await;
    let client = Client::connect(&broker, with_will("d1", topic(Topic::Presence, "d1"))).await;
    drop(client);
    let will = bystander.receive().await;
    assert_eq!(will.payload.as_ref(), b"gone");
    let mut later = Client::alice(&broker).await;
    later.subscribe("hoist/p/#", QoS::AtLeastOnce).await;
    assert!(later.receive().await.retain, "a retained will is kept");
}

#[tokio::test]
async fn silence_for_one_and_a_half_keep_alives_closes_and_the_will_speaks() {
    // bad-inputs row 68
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    let mut connect = with_will("d1", topic(Topic::Presence, "d1"));
    connect.keep_alive = 1;
    let since = tokio::time::Instant::now();
    let mut silent = Client::connect(&broker, connect).await;
    silent.closed().await;
    assert!(since.elapsed() >= Duration::from_millis(1_500));
    assert_eq!(bystander.receive().await.payload.as_ref(), b"gone");
    assert_eq!(count_of(&broker, "E_KEEP_ALIVE"), 1);
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
async fn a_stopped_broker_frees_its_port_and_a_taken_one_is_named() {
    let first = broker().await;
    let address = first.local_addr();
    first.self_probe().await.unwrap();
    let client = Client::alice(&first).await;
    let config = || FrontDoorConfig {
        listen: address,
        namespace: Namespace::default(),
        limits: Limits::default(),
        tls: None,
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
