//! What a device reports is acknowledged to it when the orchestrator has acknowledged it.

use std::time::Duration;

use hoist_protocol::topic::Topic;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, Publish, Subscribe, SubscribeFilter};

use super::floods::pace;
use super::{
    Client, broker, broker_with, bystander, count_of, device_connect, service_connect, topic, until,
};
use crate::{EmbeddedBroker, Limits};

/// The orchestrator, which reads what devices report.
async fn listening(broker: &EmbeddedBroker) -> Client {
    let mut service = Client::connect(broker, service_connect()).await;
    let filters = ["s", "p", "i"].map(|below| format!("hoist/{below}/+/+"));
    let filters = filters.map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 1;
    service.connection.write(&Packet::Subscribe(subscribe));
    assert!(matches!(service.next().await, Some(Packet::SubAck(_))));
    service
}

impl Client {
    /// Acknowledges the next message, and waits for nothing.
    pub(super) async fn take(&mut self) -> Publish {
        let message = self.receive().await;
        let ack = PubAck::new(message.pkid);
        self.connection.write(&Packet::PubAck(ack));
        self.connection.flush().await;
        message
    }
}

async fn device(broker: &EmbeddedBroker) -> Client {
    Client::connect(broker, device_connect("d1")).await
}

fn status() -> String {
    topic(Topic::Status, "d1")
}

fn acknowledgment(id: u16) -> Option<Packet> {
    Some(Packet::PubAck(PubAck::new(id)))
}

#[tokio::test]
async fn a_report_is_acknowledged_when_the_orchestrator_has_acknowledged_it_and_not_before() {
    let broker = broker().await;
    let mut service = listening(&broker).await;
    let mut device = device(&broker).await;
    let reports = [Topic::Presence, Topic::Info, Topic::Status];
    for (id, of) in (1..).zip(reports) {
        let early = device.report_as(id, &topic(of, "d1"), b"x", true).await;
        assert_eq!(early, [0; 0]);
    }
    for id in 1..=3 {
        assert_eq!(device.acknowledged().await, [0; 0], "before {id}");
        service.take().await;
        assert_eq!(device.next().await, acknowledgment(id));
    }
    service.hears_nothing().await;
}

#[tokio::test]
async fn acknowledgments_come_in_the_order_of_what_was_sent_whoever_reads_it() {
    let broker = broker().await;
    let mut service = listening(&broker).await;
    let mut device = device(&broker).await;
    let needs = topic(Topic::Needs, "d1");
    let at_once = device.report_as(1, &needs, b"nobody reads it", false).await;
    assert_eq!(at_once, [1]);
    device.report_as(2, &status(), b"x", true).await;
    let early = device.report_as(3, &needs, b"nobody reads it", false).await;
    assert_eq!(early, [0; 0]);
    service.take().await;
    assert_eq!(device.next().await, acknowledgment(2));
    assert_eq!(device.next().await, acknowledgment(3));
}

#[tokio::test]
async fn without_an_orchestrator_a_device_waits_for_one() {
    let broker = broker().await;
    let mut device = device(&broker).await;
    let early = device.report_as(1, &status(), b"x", true).await;
    assert_eq!(early, [0; 0]);
    let mut service = listening(&broker).await;
    assert!(service.take().await.retain);
    assert_eq!(device.next().await, acknowledgment(1));
}

#[tokio::test]
async fn what_an_orchestrator_left_unacknowledged_the_next_connection_acknowledges() {
    let broker = broker().await;
    for keeps_session in [true, false] {
        let mut connect = service_connect();
        connect.clean_session = !keeps_session;
        let mut service = Client::connect(&broker, connect).await;
        service.subscribe("hoist/s/+/+", QoS::AtLeastOnce).await;
        let mut device = device(&broker).await;
        device.report_as(1, &status(), b"x", true).await;
        while service.receive().await.payload.as_ref() != b"x" {}
        drop(service);
        let sessions = 1 + usize::from(keeps_session);
        until("it is gone", || broker.stats().sessions == sessions).await;
        device.report_as(2, &status(), b"y", true).await;

        let mut service = match keeps_session {
            true => Client::connect(&broker, service_connect()).await,
            false => listening(&broker).await,
        };
        if keeps_session {
            assert!(service.take().await.dup);
        }
        assert_eq!(service.take().await.payload.as_ref(), b"y");
        for id in 1..=2 {
            assert_eq!(device.next().await, acknowledgment(id));
        }
        // Its session is to begin anew the next time.
        drop((device, service));
        broker.hub_for_tests().restart_router();
        until("all are gone", || broker.stats().sessions == 0).await;
    }
}

#[tokio::test]
async fn a_report_whose_place_a_newer_one_took_is_acknowledged_together_with_it() {
    let broker = broker_with(Limits {
        service_window: 1,
        service_newest_above: 1,
        ..Limits::default()
    })
    .await;
    let mut service = listening(&broker).await;
    let mut device = device(&broker).await;
    for id in 1..=4 {
        let payload = [u8::try_from(id).unwrap()];
        device.report_as(id, &status(), &payload, true).await;
    }
    // Without an acknowledgment of its own.
    let last = Publish::new(status(), QoS::AtMostOnce, [5]);
    device.connection.write(&Packet::Publish(last));
    assert_eq!(device.acknowledged().await, [0; 0]);
    assert_eq!(service.take().await.payload.as_ref(), [1]);
    let newest = service.receive().await;
    assert_eq!(newest.payload.as_ref(), [5]);
    assert_eq!(device.acknowledged().await, [1]);
    service.acknowledge(newest.pkid).await;
    for id in 2..=4 {
        assert_eq!(device.next().await, acknowledgment(id));
    }
}

#[tokio::test]
async fn a_report_that_comes_no_more_ends_its_connection_so_that_it_is_said_again() {
    let broker = broker().await;
    let mut device = device(&broker).await;
    // Against the rules: no broker keeps it for an orchestrator that comes later.
    device.report_as(1, &status(), b"x", false).await;
    let _service = listening(&broker).await;
    device.closed().await;
    assert_eq!(count_of(&broker, "E_ROUTER"), 1);
}

#[tokio::test]
async fn of_a_device_that_waits_for_much_no_more_is_read_and_it_is_not_closed_for_that() {
    let broker = broker_with(Limits {
        unheard: 2,
        device_pace: pace(1_000),
        ..Limits::default()
    })
    .await;
    let mut connect = device_connect("d1");
    connect.keep_alive = 1;
    let mut device = Client::connect(&broker, connect).await;
    for id in 1..=3 {
        let mut report = Publish::new(status(), QoS::AtLeastOnce, [0]);
        (report.pkid, report.retain) = (id, true);
        device.connection.write(&Packet::Publish(report));
    }
    device.connection.flush().await;
    let hub = broker.hub_for_tests();
    until("two are read", || broker.stats().published == 2).await;
    let longer_than_its_keep_alive = Duration::from_millis(1_700);
    let heard = tokio::time::timeout(longer_than_its_keep_alive, device.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!((broker.stats().published, hub.reports.topics()), (2, 1));
    let mut service = listening(&broker).await;
    assert!(service.take().await.retain);
    for id in 1..=2 {
        assert_eq!(device.next().await, acknowledgment(id));
    }
    assert!(!service.take().await.retain);
    assert_eq!(device.next().await, acknowledgment(3));
    assert_eq!(hub.reports.topics(), 0);
    assert!(broker.stats().closed.is_empty(), "{:?}", broker.stats());
}

#[tokio::test]
async fn a_new_connection_of_a_device_hears_no_acknowledgment_of_the_one_before() {
    let broker = broker().await;
    let mut service = listening(&broker).await;
    let mut first = device(&broker).await;
    first.report_as(1, &status(), b"x", true).await;
    let mut second = device(&broker).await;
    first.closed().await;
    second.report_as(1, &status(), b"y", true).await;
    service.take().await;
    second.hears_nothing().await;
    service.take().await;
    assert_eq!(second.next().await, acknowledgment(1));
}

#[tokio::test]
async fn people_who_watch_reports_acknowledge_none_of_them() {
    let broker = broker().await;
    let mut watcher = bystander(&broker).await;
    let mut device = device(&broker).await;
    let presence = topic(Topic::Presence, "d1");
    watcher.subscribe(&presence, QoS::AtLeastOnce).await;
    device.report_as(1, &presence, b"here", true).await;
    for _ in 0..2 {
        // By its name, and by the wildcard.
        watcher.take().await;
    }
    watcher.hears_nothing().await;
    assert_eq!(device.acknowledged().await, [0; 0]);
}
