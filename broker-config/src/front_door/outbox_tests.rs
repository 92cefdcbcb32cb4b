use super::*;
use crate::retained::Kept;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Semaphore;

const BOUNDS: Bounds = Bounds {
    window: 2,
    commands: 1,
    messages: 3,
    bytes: 10,
    newest_above: usize::MAX,
    acknowledges_reports: false,
};

fn message(payload: &'static [u8], qos: QoS) -> Message {
    Message {
        topic: "t".to_owned(),
        payload: Bytes::from_static(payload),
        qos,
        retain: false,
        share: None,
        report: None,
    }
}

fn kept(qos: QoS, report: Option<u64>) -> Kept {
    let payload = Bytes::from_static(b"v");
    Kept {
        payload,
        qos,
        report,
    }
}

fn ids(outbox: &mut Outbox, retained: &Retained) -> Vec<u16> {
    std::iter::from_fn(|| match outbox.next(retained)? {
        Packet::Publish(publish) => Some(publish.pkid),
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn the_window_bounds_what_is_unacknowledged_and_acks_open_it() {
    let retained = Retained::default();
    let mut outbox = Outbox::new(BOUNDS);
    for _ in 0..3 {
        outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
    }
    assert_eq!(ids(&mut outbox, &retained), [1, 2]);
    assert!(outbox.acknowledge(1).is_ok());
    assert_eq!(ids(&mut outbox, &retained), [3]);
    assert_eq!(outbox.again().count(), 2);
}

#[test]
fn an_ack_out_of_order_or_for_nothing_is_refused() {
    // bad-inputs row 73
    let mut outbox = Outbox::new(BOUNDS);
    assert_eq!(outbox.acknowledge(1).err(), Some(Code::Ack));
    for _ in 0..2 {
        outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
    }
    ids(&mut outbox, &Retained::default());
    assert_eq!(outbox.acknowledge(2).err(), Some(Code::Ack));
    assert!(outbox.acknowledge(1).is_ok());
    assert_eq!(outbox.acknowledge(1).err(), Some(Code::Ack));
}

#[test]
fn messages_and_bytes_that_wait_are_bounded() {
    let mut outbox = Outbox::new(BOUNDS);
    for _ in 0..3 {
        outbox.push(message(b"x", QoS::AtMostOnce)).unwrap();
    }
    let fourth = outbox.push(message(b"x", QoS::AtMostOnce));
    assert_eq!(fourth, Err(Code::Overflow));
    let mut outbox = Outbox::new(BOUNDS);
    let large = outbox.push(message(b"eleven bytes", QoS::AtMostOnce));
    assert_eq!(large, Err(Code::Overflow));
}

#[test]
fn a_retained_topic_waits_once_however_often_it_is_asked_for() {
    let retained = Retained::default();
    let topics = || vec!["a".to_owned(), "b".to_owned()];
    for topic in topics() {
        retained.set(&topic, kept(QoS::AtMostOnce, None));
    }
    let mut outbox = Outbox::new(BOUNDS);
    for _ in 0..5 {
        outbox.push_retained(topics(), QoS::AtLeastOnce);
    }
    // Stored at QoS 0, so not sent at more.
    assert_eq!(ids(&mut outbox, &retained), [0, 0]);
}

#[test]
fn commands_have_room_of_their_own_however_much_else_is_unacknowledged() {
    let retained = Retained::default();
    let mut outbox = Outbox::new(BOUNDS);
    let command = || {
        let share = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Message {
            share: Some(Arc::new(share)),
            ..message(b"x", QoS::AtLeastOnce)
        }
    };
    for _ in 0..3 {
        outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
    }
    assert_eq!(ids(&mut outbox, &retained), [1, 2]);
    for _ in 0..2 {
        outbox.push(command()).unwrap();
    }
    assert_eq!(ids(&mut outbox, &retained), [0x8000]);
    assert_eq!(outbox.again().count(), 3);
    assert!(outbox.acknowledge(0x8000).is_ok());
    assert!(outbox.acknowledge(1).is_ok());
    // In turns.
    assert_eq!(ids(&mut outbox, &retained), [3, 0x8001]);
}

#[test]
fn when_much_waits_the_newest_of_each_topic_is_kept_and_a_flood_ends_nothing() {
    let bounds = Bounds {
        newest_above: 2,
        ..BOUNDS
    };
    let mut outbox = Outbox::new(bounds);
    let on = |topic: &str, payload: &str| Message {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos: QoS::AtMostOnce,
        retain: false,
        share: None,
        report: None,
    };
    outbox.push(on("a", "1")).unwrap();
    outbox.push(on("b", "1")).unwrap();
    for number in 0..10_000 {
        outbox.push(on("a", &number.to_string())).unwrap();
    }
    assert_eq!(outbox.waiting.len(), 2);
    let retained = Retained::default();
    let sent = std::iter::from_fn(|| match outbox.next(&retained)? {
        Packet::Publish(publish) => Some((publish.topic, publish.payload)),
        other => panic!("{other:?}"),
    });
    let sent: Vec<_> = sent.collect();
    let wanted = [("a", "9999"), ("b", "1")];
    let wanted = wanted.map(|(topic, text)| (topic.to_owned(), Bytes::from(text)));
    assert_eq!(sent, wanted, "whoever speaks often keeps its turn");
    assert_eq!(
        (outbox.messages, outbox.bytes, outbox.newest.len()),
        (0, 0, 0)
    );
}

#[test]
fn a_report_is_acknowledged_by_the_orchestrator_however_it_was_sent_and_by_nobody_else() {
    let retained = Retained::default();
    retained.set("s", kept(QoS::AtMostOnce, Some(5)));
    retained.set("view", kept(QoS::AtMostOnce, None));
    for (acknowledges_reports, expected) in [(true, [1, 0]), (false, [0, 0])] {
        let mut outbox = Outbox::new(Bounds {
            acknowledges_reports,
            ..BOUNDS
        });
        let topics = vec!["s".to_owned(), "view".to_owned()];
        outbox.push_retained(topics, QoS::AtLeastOnce);
        assert_eq!(ids(&mut outbox, &retained), expected);
        if acknowledges_reports {
            let report = outbox.acknowledge(1).map(|message| message.report);
            assert_eq!(report, Ok(Some(5)));
        }
    }
}
