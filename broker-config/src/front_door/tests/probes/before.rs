//! Probes on a socket that is not connected yet.

use super::*;

/// Packets in the place of a CONNECT, and CONNECTs.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn first_packets() -> Vec<Probe> {
    let right = connect(0xc2, &device());
    let mut long_length = right.clone();
    let length = long_length[1];
    assert!(length < 0x80);
    long_length.splice(1..2, [length | 0x80, 0x80, 0]);
    let trailing = [body("MQTT", 4, 0xc2, &device()), vec![0]].concat();
    vec![
        ("a right one", right.clone(), Stays(ACCEPTED)),
        (
            "a length with zeroes in front",
            long_length,
            Stays(ACCEPTED),
        ),
        ("a PINGREQ first [3.1.0-1]", packet(0xc0, &[]), Closed),
        (
            "a PUBLISH first",
            packet(0x30, &field("hoist/s/00/d1")),
            Closed,
        ),
        (
            "a SUBSCRIBE first",
            packet(0x82, &[0, 1, 0, 1, b'a', 0]),
            Closed,
        ),
        (
            "header flags 1 [2.2.2-2]",
            [&[0x11], &right[1..]].concat(),
            Closed,
        ),
        ("header flags 8", [&[0x18], &right[1..]].concat(), Closed),
        ("type 0", [&[0x00], &right[1..]].concat(), Closed),
        ("type 15", [&[0xf0], &right[1..]].concat(), Closed),
        (
            "a length of five bytes [2.2.3]",
            vec![0x10, 0xff, 0xff, 0xff, 0xff, 1],
            Closed,
        ),
        (
            "the same with a protocol name and more behind it",
            [b"\x10\xff\xff\xff\xff\x01\x00\x04MQTT\x04", &[0; 64][..]].concat(),
            Closed,
        ),
        (
            "a length of four bytes that is not at its end",
            vec![0x10, 0xff, 0xff, 0xff, 0xff],
            Closed,
        ),
        (
            "a length over the limit",
            vec![0x10, 0xff, 0xff, 0x7f, 0, 4, b'M', b'Q', b'T', b'T', 4],
            Closed,
        ),
        (
            "bytes behind the last field",
            packet(0x10, &trailing),
            Closed,
        ),
        (
            "no client id",
            packet(0x10, &body("MQTT", 4, 2, &[])),
            Closed,
        ),
        (
            "a field that is too long",
            connect(2, &[vec![0, 9, b'd']]),
            Closed,
        ),
        (
            "MQTT 3.1",
            packet(0x10, &body("MQIsdp", 3, 0xc2, &device())),
            Last(REFUSED_LEVEL),
        ),
        (
            "level 0",
            packet(0x10, &body("MQTT", 0, 0xc2, &device())),
            Last(REFUSED_LEVEL),
        ),
        (
            "level 6",
            packet(0x10, &body("MQTT", 6, 0xc2, &device())),
            Last(REFUSED_LEVEL),
        ),
        (
            "a bridge's level",
            packet(0x10, &body("MQTT", 0x84, 0xc2, &device())),
            Last(REFUSED_LEVEL),
        ),
        (
            "MQTT 5",
            packet(0x10, &body("MQTT", 5, 0xc2, &device())),
            Last(&[0x20, 3, 0, 0x84, 0]),
        ),
        (
            "a name in small letters [3.1.2-1]",
            packet(0x10, &body("mqtt", 4, 0xc2, &device())),
            Closed,
        ),
        (
            "a name that is empty",
            packet(0x10, &body("", 4, 0xc2, &device())),
            Closed,
        ),
        (
            "a name that is long",
            packet(0x10, &body("MQTT over", 4, 0xc2, &device())),
            Closed,
        ),
    ]
}

/// Flags and fields of a CONNECT.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn connects() -> Vec<Probe> {
    let presence = "hoist/p/d0/d1";
    vec![
        (
            "the reserved flag [3.1.2-3]",
            connect(0xc3, &device()),
            Closed,
        ),
        (
            "a will of QoS 3 [3.1.2-14]",
            connect(0xde, &device_with_will("x")),
            Closed,
        ),
        (
            "a QoS without a will [3.1.2-13]",
            connect(0xca, &device()),
            Closed,
        ),
        (
            "a retained flag without a will [3.1.2-15]",
            connect(0xe2, &device()),
            Closed,
        ),
        (
            "a password without a name [3.1.2-22]",
            connect(0x42, &device()),
            Closed,
        ),
        (
            "a client id with NUL [1.5.3-2]",
            connect(0xc2, &device_with(0, field("d\x001"))),
            Closed,
        ),
        (
            "a client id that is no text [1.5.3-1]",
            connect(0xc2, &device_with(0, field([0xff]))),
            Closed,
        ),
        (
            "half a surrogate pair",
            connect(0xc2, &device_with(0, field([0xed, 0xa0, 0x80]))),
            Closed,
        ),
        (
            "a name with NUL",
            connect(0xc2, &device_with(1, field("d\x001"))),
            Closed,
        ),
        (
            "a name that is no text",
            connect(0xc2, &device_with(1, field([0xc3, 0x28]))),
            Closed,
        ),
        (
            "a will's topic with NUL",
            connect(0xc6, &device_with_will("a\x00b")),
            Closed,
        ),
        (
            "a will's topic that is no text",
            connect(0xc6, &device_with_will([0x80])),
            Closed,
        ),
        (
            "a will's topic with a wildcard",
            connect(0xc6, &device_with_will("hoist/#")),
            Last(REFUSED_LOGIN),
        ),
        (
            "a will of QoS 2",
            connect(0xd6, &device_with_will(presence)),
            Last(REFUSED_LOGIN),
        ),
        (
            "a binary password [3.1.3.5]",
            connect(0xc2, &device_with(2, field([0xff, 0, 0xfe]))),
            Last(REFUSED_LOGIN),
        ),
        (
            "an empty password",
            connect(0xc2, &device_with(2, field(""))),
            Last(REFUSED_LOGIN),
        ),
        (
            "another's password",
            connect(0xc2, &device_with(2, field("alice-token"))),
            Last(REFUSED_LOGIN),
        ),
        (
            "no password",
            connect(0x82, &device()[..2]),
            Last(REFUSED_LOGIN),
        ),
        (
            "no name",
            connect(0x02, &device()[..1]),
            Last(REFUSED_LOGIN),
        ),
        (
            "another client id",
            connect(0xc2, &device_with(0, field("d2"))),
            Last(REFUSED_ID),
        ),
        (
            "a user without client id",
            connect(0xc2, &alice("")),
            Stays(ACCEPTED),
        ),
        (
            "the same with a session to keep [3.1.3-8]",
            connect(0xc0, &alice("")),
            Last(REFUSED_ID),
        ),
        (
            "a device with a session to keep",
            connect(0xc0, &device()),
            Stays(ACCEPTED),
        ),
        (
            "a client id of any letters",
            connect(0xc2, &alice("é ⚙")),
            Stays(ACCEPTED),
        ),
    ]
}
