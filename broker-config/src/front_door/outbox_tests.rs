use bytes::Bytes;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{Attempt, DeploymentId, Round, Seq};
use hoist_protocol::status::{FinalResult, Outcome, Success};

use super::*;
use std::sync::Arc;
use tokio::sync::Semaphore;

const BOUNDS: Bounds = Bounds {
    window: 2,
    commands: 1,
    messages: 3,
    bytes: 10,
    newest_above: usize::MAX,
};

fn message(payload: &'static [u8], qos: QoS) -> Message {
    Message {
        topic: "t".to_owned(),
        payload: Bytes::from_static(payload),
        qos,
        retain: false,
        share: None,
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
    assert_eq!(outbox.acknowledge(1), Ok(()));
    assert_eq!(ids(&mut outbox, &retained), [3]);
    assert_eq!(outbox.again().count(), 2);
}

#[test]
fn an_ack_out_of_order_or_for_nothing_is_refused() {
    // bad-inputs row 73
    let mut outbox = Outbox::new(BOUNDS);
    assert_eq!(outbox.acknowledge(1), Err(Code::Ack));
    for _ in 0..2 {
        outbox.push(message(b"x", QoS::AtLeastOnce)).unwrap();
    }
    ids(&mut outbox, &Retained::default());
    assert_eq!(outbox.acknowledge(2), Err(Code::Ack));
    assert_eq!(outbox.acknowledge(1), Ok(()));
    assert_eq!(outbox.acknowledge(1), Err(Code::Ack));
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
        retained.set(&topic, &Bytes::from_static(b"v"), QoS::AtMostOnce);
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
    assert_eq!(outbox.acknowledge(0x8000), Ok(()));
    assert_eq!(outbox.acknowledge(1), Ok(()));
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

/// A status, with the outcome of a deployment or without.
fn status(seq: u64, ended: Option<u32>) -> Message {
    let outcomes = ended.map(|deployment| Outcome {
        deployment: DeploymentId(deployment),
        round: Round(0),
        attempt: Attempt(1),
        result: FinalResult::Successful(Success::Installed),
    });
    let status = DeviceStatus {
        seq: Seq(seq),
        ended: 0,
        running: None,
        outcomes: outcomes.into_iter().collect(),
    };
    Message {
        payload: status.seal(&PrivateKey::from_seed(&[1; 32]), "t").into(),
        ..message(b"", QoS::AtLeastOnce)
    }
}

#[test]
fn a_status_with_an_outcome_is_never_given_up_for_a_newer_one() {
    let mut outbox = Outbox::new(Bounds {
        window: 100,
        commands: 100,
        messages: 100,
        bytes: 100_000,
        newest_above: 0,
    });
    for (seq, ended) in [
        (1, None),
        (2, Some(17)),
        (3, None),
        (4, None),
        (5, Some(18)),
        (6, None),
    ] {
        outbox.push(status(seq, ended)).unwrap();
    }
    let retained = Retained::default();
    let heard = std::iter::from_fn(|| match outbox.next(&retained)? {
        Packet::Publish(publish) => Some(
            DeviceStatus::receive(&publish.payload)
                .unwrap()
                .status
                .seq
                .0,
        ),
        other => panic!("{other:?}"),
    });
    assert_eq!(heard.collect::<Vec<_>>(), [2, 5, 6], "in their order");
    // What claims an outcome each time takes so many places.
    for seq in 0..100 {
        outbox.push(status(seq, Some(17))).unwrap();
    }
    assert_eq!(outbox.waiting.len(), usize::from(OUTCOMES_KEPT) + 1);
}
