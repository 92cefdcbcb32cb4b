//! The end of a connection, in a few causes that somebody can do something about.

use std::io;

use rumqttc::mqttbytes::Error;
use rumqttc::{ConnectReturnCode, StateError};

use crate::stream::Unreached;
use crate::tls::TlsError;

/// A connection is over, or never was.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct Ended {
    /// For whoever can do something about it.
    pub cause: Cause,
    /// The same for people.
    said: String,
}

/// The cause of an end.
#[derive(Debug)]
pub enum Cause {
    /// The broker refuses to let this client in.
    Refused(Refusal),
    /// The network, or nobody listens there.
    Network(io::Error),
    /// The broker closed the connection.
    Closed,
    /// The broker does not answer.
    Silent,
    /// A packet that no broker sends, or that this client may not send.
    Protocol,
    /// No TLS comes about, or only by TLS.
    Tls(TlsError),
}

/// The reason of a broker that does not let somebody in (MQTT 3.1.1, 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not speak this version of MQTT.
    RefusedProtocolVersion,
    /// The client id is not allowed.
    BadClientId,
    /// It has no place now.
    ServiceUnavailable,
    /// The user name or password is wrong.
    BadUserNamePassword,
    /// This client may not come in.
    NotAuthorized,
}

impl Ended {
    pub(super) fn new(cause: Cause, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { cause, said }
    }

    pub(super) fn closed() -> Self {
        Self::new(Cause::Closed, "the broker closed the connection")
    }

    pub(super) fn protocol(error: &Error) -> Self {
        Self::new(Cause::Protocol, error.to_string())
    }

    pub(super) fn tls(error: TlsError) -> Self {
        let said = error.to_string();
        Self::new(Cause::Tls(error), said)
    }

    pub(super) fn refused(code: ConnectReturnCode) -> Self {
        let cause = refusal(code).map_or(Cause::Protocol, Cause::Refused);
        Self::new(cause, format!("refused: {code:?}"))
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        if let Some(error) = TlsError::of(&error) {
            return Self::tls(error);
        }
        let said = error.to_string();
        Self::new(Cause::Network(error), said)
    }
}

impl From<Unreached> for Ended {
    fn from(error: Unreached) -> Self {
        match error {
            Unreached::Name(error) | Unreached::Connection(error) => Self::from(error),
            Unreached::Tls(error) => Self::tls(error),
        }
    }
}

impl From<StateError> for Ended {
    fn from(error: StateError) -> Self {
        let said = error.to_string();
        let cause = match error {
            StateError::Io(error) | StateError::Deserialization(Error::Io(error)) => {
                return Self::from(error);
            }
            StateError::ConnectionAborted => Cause::Closed,
            StateError::AwaitPingResp => Cause::Silent,
            _ => Cause::Protocol,
        };
        Self::new(cause, said)
    }
}

fn refusal(code: ConnectReturnCode) -> Option<Refusal> {
    Some(match code {
        ConnectReturnCode::Success => return None,
        ConnectReturnCode::RefusedProtocolVersion => Refusal::RefusedProtocolVersion,
        ConnectReturnCode::BadClientId => Refusal::BadClientId,
        ConnectReturnCode::ServiceUnavailable => Refusal::ServiceUnavailable,
        ConnectReturnCode::BadUserNamePassword => Refusal::BadUserNamePassword,
        ConnectReturnCode::NotAuthorized => Refusal::NotAuthorized,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_known_by_its_cause() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(matches!(
            Ended::from(reset()).cause,
            Cause::Network(error) if error.kind() == io::ErrorKind::ConnectionReset
        ));
        let state = |error| Ended::from(error).cause;
        let written = StateError::Deserialization(Error::Io(reset()));
        for error in [StateError::Io(reset()), written] {
            assert!(matches!(state(error), Cause::Network(_)));
        }
        assert!(matches!(
            state(StateError::ConnectionAborted),
            Cause::Closed
        ));
        assert!(matches!(state(StateError::AwaitPingResp), Cause::Silent));
        assert!(matches!(state(StateError::WrongPacket), Cause::Protocol));
        assert!(matches!(
            Ended::refused(ConnectReturnCode::NotAuthorized).cause,
            Cause::Refused(Refusal::NotAuthorized)
        ));
    }
}
