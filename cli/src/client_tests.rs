//! What comes of commands, and of brokers that say no.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A broker that grants so many subscriptions and refuses the next one.
async fn grants(mut granted: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // Packets of one client are short: a byte says how long each is.
        while let Ok(kind) = socket.read_u8().await {
            let mut body = vec![0; usize::from(socket.read_u8().await.unwrap())];
            socket.read_exact(&mut body).await.unwrap();
            let answer = match kind >> 4 {
                1 => vec![0x20, 2, 0, 0],
                8 => {
                    let code = if granted > 0 { 1 } else { 0x80 };
                    granted = granted.saturating_sub(1);
                    vec![0x90, 3, body[0], body[1], code]
                }
                _ => continue,
            };
            socket.write_all(&answer).await.unwrap();
        }
    });
    format!("mqtt://{address}")
}

async fn connected(granted: usize) -> Client {
    let file = ClientFile {
        ca: None,
        ca_file: None,
        mqtt: grants(granted).await,
        device_mqtt: None,
        http: String::new(),
        user: "vera".parse().unwrap(),
        token: "token".to_owned(),
        namespace: "hoist".parse().unwrap(),
    };
    Client::connect(file, Patience::PERSON).await.unwrap()
}

#[tokio::test]
async fn what_the_broker_lets_nobody_hear_is_not_waited_for() {
    for (watched, refused) in [
        (None, "hoist/reply/vera/"),
        (Some("hoist/view/#"), "hoist/view/#"),
    ] {
        let mut client = connected(0).await;
        if let Some(filter) = watched {
            client.watch(filter).await.unwrap();
        }
        let body = serde_json::json!({});
        let failure = client.command(Verb::GroupList, &body).await.unwrap_err();
        assert_eq!(failure.code, "E_ROLE", "{failure}");
        assert!(failure.to_string().contains(refused), "{failure}");
    }
    let mut client = connected(1).await;
    for filter in ["hoist/view/#", "hoist/event/#"] {
        client.watch(filter).await.unwrap();
    }
    let failure = client.next_message().await.unwrap_err();
    assert!(failure.to_string().contains("hoist/event/#"), "{failure}");
}

#[test]
fn a_refusal_becomes_a_failure_with_its_hint() {
    let reply = br#"{"apiVersion":"hoist/v1","request":"r1","ok":false,"error":
        {"code":"E_RELEASE","title":"release not found","detail":"release app@1.2.0 not found",
         "hint":"did you mean app@1.1.0?"}}"#;
    let failure = read_reply("deploy", reply).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "error[E_RELEASE]: release app@1.2.0 not found\nhelp: did you mean app@1.1.0?"
    );
    assert_eq!(crate::exit::of(&failure), crate::exit::NOT_FOUND);
}

#[test]
fn a_success_is_its_result() {
    let reply = br#"{"apiVersion":"hoist/v1","request":"r1","ok":true,"result":{"deployment":17}}"#;
    assert_eq!(read_reply("deploy", reply).unwrap()["deployment"], 17);
    assert_eq!(
        read_reply("deploy", b"nonsense").unwrap_err().code,
        "E_REPLY"
    );
}
