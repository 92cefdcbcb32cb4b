//! No client, however broken, disturbs another through the front door of a real server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::{Topic, Topics};
use serde_json::json;

use crate::harness::eventually;
use crate::harness::mqtt::{Client, Login};
use crate::harness::server::Server;

fn device_login(server: &Server, device: &str) -> Login {
    Login::read(&server.add_device(device, &[]))
}

fn topic(of: fn(hoist_protocol::id::DeviceId) -> Topic, device: &str) -> String {
    Topics::default().format(&of(device.parse().unwrap()))
}

/// A CONNECT of MQTT 3.1.1 with user name and password.
fn connect_packet(id: &str, login: &Login) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b1100_0010, 0, 60];
    for text in [id, &login.user, &login.token] {
        body.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let mut packet = vec![0x10];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).unwrap();
        length /= 128;
        packet.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(&body);
    packet
}

/// Sends bytes and returns everything until the server closes.
fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.mqtt()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("the server did not close: {error}"),
    }
}

#[test]
fn every_raw_attack_leaves_the_victim_and_the_commands_alone() {
    // bad-inputs rows 1, 3, 5, 6, 9 and 73
    let server = Server::start();
    let victim = server.client();
    assert!(victim.subscribe("hoist/view/#"));
    let login = device_login(&server, "mallory");
    let mut multi_byte = connect_packet("mallory", &login);
    multi_byte.extend_from_slice(&[0x30, 6, 0, 4, 0xc3, 0xa9, b'/', b'x']);
    let mut unsolicited_ack = connect_packet("mallory", &login);
    unsolicited_ack.extend_from_slice(&[0x40, 2, 0, 9]);
    let mut twice = connect_packet("mallory", &login);
    twice.extend_from_slice(&connect_packet("mallory", &login));
    let mut oversize = connect_packet("mallory", &login);
    oversize.extend_from_slice(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
    let attacks: [(&str, Vec<u8>); 8] = [
        ("nothing at all", Vec::new()),
        (
            "half a CONNECT",
            connect_packet("mallory", &login)[..9].to_vec(),
        ),
        (
            "SUBSCRIBE before CONNECT",
            vec![0x82, 6, 0, 1, 0, 1, b'#', 0],
        ),
        ("CONNACK from a client", vec![0x20, 2, 0, 0]),
        ("multi-byte topic", multi_byte),
        ("unsolicited PUBACK", unsolicited_ack),
        ("second CONNECT", twice),
        ("oversize packet", oversize),
    ];
    std::thread::scope(|scope| {
        for (_, bytes) in &attacks {
            scope.spawn(|| send(&server, bytes));
        }
    });
    for _ in 0..20 {
        // A reset before the CONNACK, then the same client id again.
        let mut stream = TcpStream::connect(server.mqtt()).unwrap();
        stream
            .write_all(&connect_packet("mallory", &login))
            .unwrap();
        drop(stream);
    }
    assert!(victim.is_open());
    victim.command_ok("group-create", &json!({"group": "alive"}));
    victim.wait_json("hoist/view/group/alive", |_| true);
    Client::connect(server.mqtt(), "mallory", &login);
}

#[test]
fn a_device_reads_and_writes_only_what_is_its_own() {
    // bad-inputs rows 2 and 7
    let server = Server::start();
    let login = device_login(&server, "mallory");
    let victim_login = device_login(&server, "victim");
    let victim = Client::connect(server.mqtt(), "victim", &victim_login);
    let mallory = Client::connect(server.mqtt(), "mallory", &login);
    for filter in [
        "hoist/d/victim",
        "hoist/#",
        "#",
        "hoist/cmd/#",
        "$share/g/hoist/g/x",
    ] {
        assert!(!mallory.subscribe(filter), "{filter}");
    }
    assert!(mallory.subscribe("hoist/d/mallory"));

    Client::open(server.mqtt(), "victim", &login).wait_closed();
    assert!(victim.is_open(), "nobody takes another's client id");

    mallory.publish(&topic(Topic::Status, "victim"), b"forged", true);
    mallory.wait_closed();
    assert!(victim.is_open());
    let operator = server.client();
    assert!(operator.subscribe("hoist/s/#"));
    operator.command_ok("group-list", &json!({}));
    assert_eq!(operator.last(&topic(Topic::Status, "victim")), None);
}

#[test]
fn a_wrong_token_is_refused_and_the_server_lives() {
    let server = Server::start();
    let login = Login {
        user: "admin".into(),
        token: "wrong".into(),
    };
    Client::open(server.mqtt(), "", &login).wait_closed();
    let anonymous = Login {
        user: String::new(),
        token: String::new(),
    };
    Client::open(server.mqtt(), "x", &anonymous).wait_closed();
    let device = Login {
        user: "dev-01".into(),
        token: server.admin().token,
    };
    Client::open(server.mqtt(), "dev-01", &device).wait_closed();
    server.client().command_ok("group-list", &json!({}));
}

#[test]
fn a_malformed_status_is_kept_out_and_the_next_good_one_counts() {
    // bad-inputs rows 15, 16, 17 and 22
    let server = Server::start();
    let login = device_login(&server, "dev-01");
    let device = Client::connect(server.mqtt(), "dev-01", &login);
    let status = topic(Topic::Status, "dev-01");
    let good = hoist_protocol::codec::encode(&DeviceStatus::default());
    let mut newer = good.clone();
    newer[0] = 9;
    let mut trailing = good.clone();
    trailing.push(0);
    let operator = server.client();
    assert!(operator.subscribe("hoist/s/#"));
    for payload in [&b""[..], &b"\x01\xff"[..], &newer, &trailing, &good] {
        device.publish(&status, payload, true);
    }
    // What is refused is cleared at the broker, perhaps after the good one came: then its
    // device, which is asked what it meant, says it once more.
    eventually("the good one to pass", || {
        let mut seen = operator.messages().into_iter();
        seen.any(|message| message.topic == status && message.payload == good)
            .then_some(())
    });
    let shown = operator.command_ok("device-show", &json!({"device": "dev-01"}));
    assert_eq!(shown["device"], json!("dev-01"), "{shown}");
    assert!(
        device.is_open(),
        "a bad payload is counted, not punished by the broker"
    );
}

#[test]
fn a_publish_at_qos_2_closes_the_connection_and_the_log_says_whose() {
    let mut server = Server::start();
    let mut packets = connect_packet("watcher", &server.admin());
    let topic = b"hoist/cmd/admin/r1/group-list";
    let length = u8::try_from(2 + topic.len() + 2 + 2).unwrap();
    packets.extend_from_slice(&[0x34, length, 0, u8::try_from(topic.len()).unwrap()]);
    packets.extend_from_slice(topic);
    packets.extend_from_slice(&[0, 1]);
    packets.extend_from_slice(b"{}");
    let answer = send(&server, &packets);
    assert!([0x20, 2, 0, 0].starts_with(&answer), "at most the CONNACK");
    let said = crate::harness::eventually("the log to name the client", || {
        let said = server.process().said();
        let line = said.lines().find(|line| line.contains("E_QOS"))?;
        Some(line.to_owned())
    });
    assert!(
        said.contains("watcher") && said.contains("peer=127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("use QoS 0 or 1"), "{said}");
}
