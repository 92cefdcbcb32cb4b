//! Probes of a device that is connected.

use super::*;

/// Packets of a connected device.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn later_packets() -> Vec<Probe> {
    let right = connect(0xc2, &device());
    let own = field("hoist/d/d1");
    let subscribe =
        |first: u8, id: u16, rest: &[u8]| packet(first, &[&id.to_be_bytes(), rest].concat());
    let wanted =
        |filter: &[u8], qos: u8| subscribe(0x82, 1, &[&field(filter)[..], &[qos]].concat());
    let pair = [&own[..], &[1], &field("hoist/d/d2"), &[0]].concat();
    vec![
        ("a second CONNECT [3.1.0-2]", right, Closed),
        (
            "a SUBSCRIBE",
            wanted(b"hoist/d/d1", 1),
            Stays(&[0x90, 3, 0, 1, 1]),
        ),
        (
            "a SUBSCRIBE at QoS 2",
            wanted(b"hoist/d/d1", 2),
            Stays(&[0x90, 3, 0, 1, 1]),
        ),
        (
            "a SUBSCRIBE to another's",
            wanted(b"hoist/d/d2", 1),
            Stays(&[0x90, 3, 0, 1, 0x80]),
        ),
        (
            "a SUBSCRIBE to two",
            subscribe(0x82, 7, &pair),
            Stays(&[0x90, 4, 0, 7, 1, 0x80]),
        ),
        (
            "a wildcard in a level [4.7.1-3]",
            wanted(b"hoist/g+", 0),
            Stays(&[0x90, 3, 0, 1, 0x80]),
        ),
        (
            "an empty filter [4.7.3-1]",
            wanted(b"", 0),
            Stays(&[0x90, 3, 0, 1, 0x80]),
        ),
        (
            "SUBSCRIBE flags 0 [3.8.1-1]",
            subscribe(0x80, 1, &[&own[..], &[0]].concat()),
            Closed,
        ),
        (
            "SUBSCRIBE flags 3",
            subscribe(0x83, 1, &[&own[..], &[0]].concat()),
            Closed,
        ),
        (
            "SUBSCRIBE id 0 [2.3.1-1]",
            subscribe(0x82, 0, &[&own[..], &[0]].concat()),
            Closed,
        ),
        (
            "SUBSCRIBE without a filter [3.8.3-3]",
            subscribe(0x82, 1, &[]),
            Closed,
        ),
        ("SUBSCRIBE without anything", packet(0x82, &[]), Closed),
        (
            "SUBSCRIBE at QoS 3 [3.8.3-4]",
            wanted(b"hoist/d/d1", 3),
            Closed,
        ),
        (
            "SUBSCRIBE with a reserved bit",
            wanted(b"hoist/d/d1", 4),
            Closed,
        ),
        ("SUBSCRIBE without a QoS", subscribe(0x82, 1, &own), Closed),
        ("a filter with NUL [4.7.3-2]", wanted(b"a\x00", 0), Closed),
        ("a filter that is no text", wanted(&[0xff], 0), Closed),
        (
            "an UNSUBSCRIBE",
            subscribe(0xa2, 5, &own),
            Stays(&[0xb0, 2, 0, 5]),
        ),
        (
            "UNSUBSCRIBE flags 0 [3.10.1-1]",
            subscribe(0xa0, 1, &own),
            Closed,
        ),
        ("UNSUBSCRIBE id 0", subscribe(0xa2, 0, &own), Closed),
        (
            "UNSUBSCRIBE without a filter [3.10.3-2]",
            subscribe(0xa2, 1, &[]),
            Closed,
        ),
        (
            "UNSUBSCRIBE with NUL",
            subscribe(0xa2, 1, &field("a\x00")),
            Closed,
        ),
        ("PINGREQ", packet(0xc0, &[]), Stays(&[0xd0, 0])),
        ("PINGREQ flags 1", packet(0xc1, &[]), Closed),
        ("PINGREQ with a body", packet(0xc0, &[0]), Closed),
        ("DISCONNECT", packet(0xe0, &[]), Closed),
        ("DISCONNECT flags 1 [3.14.1-1]", packet(0xe1, &[]), Closed),
        ("DISCONNECT with a body", packet(0xe0, &[0]), Closed),
        ("CONNACK of a client", packet(0x20, &[0, 0]), Closed),
        ("SUBACK of a client", packet(0x90, &[0, 1, 0]), Closed),
        ("UNSUBACK of a client", packet(0xb0, &[0, 1]), Closed),
        ("PINGRESP of a client", packet(0xd0, &[]), Closed),
        ("type 0", packet(0x00, &[0]), Closed),
        ("type 15", packet(0xf0, &[0]), Closed),
    ]
}

/// Messages that a connected device publishes, and their acknowledgments.
pub(super) fn publishes() -> Vec<Probe> {
    let own = field("hoist/s/d0/d1");
    let publish = |first: u8, topic: &[u8], rest: &[u8]| packet(first, &[topic, rest].concat());
    // What nobody waits to be decided.
    let right = topic(Topic::Needs, "d1");
    vec![
        (
            "a PUBLISH at QoS 1",
            publish(0x32, &field(right), &[0, 9, 1]),
            Stays(&[0x40, 2, 0, 9]),
        ),
        (
            "PUBLISH at QoS 3 [3.3.1-4]",
            publish(0x36, &own, &[0, 1]),
            Closed,
        ),
        ("PUBLISH at QoS 2", publish(0x34, &own, &[0, 1]), Closed),
        (
            "PUBLISH at QoS 1 with id 0",
            publish(0x32, &own, &[0, 0]),
            Closed,
        ),
        (
            "PUBLISH at QoS 1 without an id",
            publish(0x32, &own, &[]),
            Closed,
        ),
        (
            "PUBLISH at QoS 0 again [3.3.1-2]",
            publish(0x38, &own, &[]),
            Closed,
        ),
        ("an empty topic", publish(0x30, &field(""), &[]), Closed),
        (
            "a topic with + [3.3.2-2]",
            publish(0x30, &field("hoist/s/+/d1"), &[]),
            Closed,
        ),
        (
            "a topic with #",
            publish(0x30, &field("hoist/#"), &[]),
            Closed,
        ),
        (
            "a topic with NUL",
            publish(0x30, &field("hoist/\x00"), &[]),
            Closed,
        ),
        (
            "a topic that is no text [3.3.2-1]",
            publish(0x30, &field([0xff]), &[]),
            Closed,
        ),
        (
            "a topic that is too long",
            publish(0x30, &[0, 9, b'a'], &[]),
            Closed,
        ),
        ("PUBLISH without a topic", packet(0x30, &[]), Closed),
        ("PUBACK for nothing", packet(0x40, &[0, 1]), Closed),
        ("PUBACK flags 2", packet(0x42, &[0, 1]), Closed),
        ("PUBACK that is too long", packet(0x40, &[0, 1, 0]), Closed),
        ("PUBACK that is too short", packet(0x40, &[0]), Closed),
        ("PUBREC", packet(0x50, &[0, 1]), Closed),
        ("PUBREL", packet(0x62, &[0, 1]), Closed),
        ("PUBCOMP", packet(0x70, &[0, 1]), Closed),
    ]
}
