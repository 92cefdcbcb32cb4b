//! Places while many want one.

use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet};

use super::{
    Client, PATIENCE, broker_with, connect_of, count_of, device_connect, service_connect, socket,
    until,
};
use crate::Limits;

const BUSY: ConnectReturnCode = ConnectReturnCode::ServiceUnavailable;

fn alice(client_id: &str) -> rumqttc::mqttbytes::v4::Connect {
    connect_of(client_id, "alice", "alice-token")
}

#[tokio::test]
async fn of_many_connects_at_once_no_more_come_in_than_one_user_may_have() {
    let broker = broker_with(Limits {
        user_connections: 3,
        ..Limits::default()
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::dial(&broker, alice("")).await);
    }
    let mut accepted = 0;
    for client in &mut clients {
        match client.next().await {
            Some(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => accepted += 1,
            Some(Packet::ConnAck(ack)) => assert_eq!(ack.code, BUSY),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted, 3);
    drop(clients);
    until("all are gone", || broker.stats().sessions == 0).await;
    assert_eq!(
        Client::connect(&broker, alice("")).await.code,
        ConnectReturnCode::Success
    );
}

#[tokio::test]
async fn whoever_comes_again_where_no_place_is_left_takes_its_own() {
    let broker = broker_with(Limits {
        connections: 2,
        operator_connections: 0,
        user_connections: 1,
        ..Limits::default()
    })
    .await;
    let connects = [device_connect("d1"), alice("shell")];
    let mut there = Vec::new();
    for connect in connects.clone() {
        there.push(Client::connect(&broker, connect).await);
    }
    for (client, connect) in there.iter_mut().zip(connects) {
        let mut again = Client::connect(&broker, connect).await;
        assert_eq!(again.code, ConnectReturnCode::Success);
        client.closed().await;
        again.hears_nothing().await;
        *client = again;
    }
    for other in [device_connect("d2"), alice("other")] {
        assert_eq!(Client::connect(&broker, other).await.code, BUSY);
    }
}

#[tokio::test]
async fn an_operator_who_was_there_before_the_fleet_gets_a_place_beside_it() {
    let broker = broker_with(Limits {
        connections: 6,
        ..Limits::default()
    })
    .await;
    let mut there = Vec::new();
    for _ in 0..5 {
        there.push(Client::alice(&broker).await);
    }
    there.push(Client::connect(&broker, device_connect("d1")).await);
    assert_eq!(
        Client::connect(&broker, device_connect("d2")).await.code,
        BUSY
    );
    // As many as one user may have of those places, however many others it has.
    for _ in 0..4 {
        there.push(Client::alice(&broker).await);
    }
    assert_eq!(Client::connect(&broker, alice("")).await.code, BUSY);
    let bob = Client::connect(&broker, connect_of("", "bob", "bob-token")).await;
    assert_eq!(bob.code, ConnectReturnCode::Success);
}

#[tokio::test]
async fn sockets_that_say_nothing_hold_no_place_and_keep_nobody_out() {
    // bad-inputs row 5
    let broker = broker_with(Limits {
        handshake: 100 * PATIENCE,
        opening: 4,
        connections: 1,
        operator_connections: 1,
        ..Limits::default()
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(socket(&broker).await);
    }
    let mut there = Vec::new();
    for connect in [service_connect(), device_connect("d1"), alice("")] {
        let client = Client::connect(&broker, connect).await;
        assert_eq!(client.code, ConnectReturnCode::Success);
        there.push(client);
    }
    until("the oldest made room", || count_of(&broker, "E_BUSY") >= 36).await;
}
