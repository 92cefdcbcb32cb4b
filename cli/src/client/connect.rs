//! Coming in: how long a broker is waited for that is not there, or has no place.

use std::time::Duration;

use hoist_net::backoff::Backoff;
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::{Failure, of_tls};
use tokio::time::Instant;

use super::request_id;
use crate::client::mqtt::{Broker, ConnectError, Connection, Login};

/// The number of times that even a person's command connects while the broker has no place for it:
/// some seconds.
const BUSY_TRIES: u32 = 6;
/// First pause before connecting again; doubled up to the last.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// Longest pause before connecting again.
const RECONNECT_LAST: Duration = Duration::from_secs(2);

/// Connects, trying again until `until` while no broker answers.
pub(super) async fn connect(
    broker: &Broker,
    file: &ClientFile,
    until: Instant,
) -> Result<Connection, Failure> {
    let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LAST);
    let mut busy = 0;
    loop {
        let client_id = format!("hoist-{}", request_id()?);
        let login = Login::operator(broker.clone(), &file.user, &file.token, client_id);
        match Connection::open(&login).await {
            Ok(connection) => return Ok(connection),
            Err(error @ ConnectError::Refused { .. }) => {
                return Err(Failure::because(Code::Auth, "not connected", &error)
                    .help("use the client.toml of this server, or ask for one: `hoist user add`"));
            }
            // What is wrong with a certificate, time alone does not mend.
            Err(ConnectError::Tls(error)) if error.code() != Code::Tls => {
                return Err(of_tls(&error));
            }
            Err(ConnectError::Busy { .. }) if busy + 1 < BUSY_TRIES => {
                busy += 1;
                tokio::time::sleep(backoff.pause()).await;
                backoff.lengthen();
            }
            Err(error @ ConnectError::Busy { .. }) if Instant::now() + backoff.pause() >= until => {
                return Err(Failure::because(Code::Busy, "not connected", &error).help(
                    "end some of this user's connections, or give each program a user of its own: `hoist user add`",
                ));
            }
            Err(ConnectError::Tls(error)) if Instant::now() + backoff.pause() >= until => {
                return Err(of_tls(&error));
            }
            Err(error) if Instant::now() + backoff.pause() >= until => {
                return Err(Failure::because(Code::Broker, "not connected", &error).help(
                    "start the server with `hoist serve`, or name its client.toml with --client",
                ));
            }
            Err(_) => {
                tokio::time::sleep(backoff.pause()).await;
                backoff.lengthen();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hoist_net::endpoint::{Endpoint, Scheme};
    use hoist_net::tls::Trust;

    use super::*;

    /// A broker that answers each of so many CONNECTs with a code.
    async fn answering(codes: &'static [u8]) -> (Broker, tokio::task::JoinHandle<()>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Broker {
            at: Endpoint::at(Scheme::Mqtt, listener.local_addr().unwrap()),
            trust: Trust::default(),
        };
        let answering = tokio::spawn(async move {
            let mut sockets = Vec::new();
            for code in codes {
                let (mut socket, _) = listener.accept().await.unwrap();
                socket.read_u8().await.unwrap();
                socket.write_all(&[0x20, 2, 0, *code]).await.unwrap();
                sockets.push(socket);
            }
        });
        (address, answering)
    }

    fn file() -> ClientFile {
        ClientFile {
            mqtt: String::new(),
            device_mqtt: None,
            http: String::new(),
            user: "vera".parse().unwrap(),
            token: "token".to_owned(),
            namespace: "hoist".parse().unwrap(),
            ca: None,
            ca_file: None,
        }
    }

    #[tokio::test]
    async fn a_broker_without_a_place_is_asked_again_and_is_not_taken_for_none() {
        let (address, answering) = self::answering(&[3, 3, 0]).await;
        let now = Instant::now();
        assert!(connect(&address, &file(), now).await.is_ok());
        answering.await.unwrap();
        let (address, answering) = self::answering(&[3; BUSY_TRIES as usize]).await;
        let failure = connect(&address, &file(), now).await.err().unwrap();
        assert_eq!(failure.code, "E_BUSY", "{failure}");
        answering.await.unwrap();
    }
}
