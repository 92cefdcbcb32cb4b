//! Why a connection does not become a session, and what its client is told.

use hoist_net::tls::TlsError;
use hoist_net::tls::server::ALERT;
use hoist_protocol::code;

use super::code::Code;
use super::connect::Fault;
use crate::credentials::Refusal;

/// CONNACK of MQTT 5 saying "unsupported protocol version".
const UNSUPPORTED_V5: [u8; 5] = [0x20, 0x03, 0x00, 0x84, 0x00];
/// CONNACK of MQTT 3 saying the same.
const UNSUPPORTED_V3: [u8; 4] = [0x20, 0x02, 0x00, 0x01];
/// Why a CONNECT is refused, with its CONNACK code where there is one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It closed without a word, as a probe does.
    #[error("it closed without a word")]
    Silent,
    #[error("{0}")]
    NotConnect(Code),
    /// At a door with TLS, without it.
    #[error("{}", Code::Tls)]
    Plain,
    /// TLS that did not come about: the client does not believe the certificate, speaks no version
    /// of it that is spoken here, or shows a certificate that is not accepted.
    #[error("{code}: {0}", code = .0.code())]
    Handshake(TlsError),
    /// No client id, and a session to be kept (MQTT 3.1.1, 3.1.3.1).
    #[error("{code}: it names no client and wants its session kept", code = Code::Packet)]
    NoClientId,
    #[error("{code} (it spoke level {level})", code = Code::Version)]
    Version { level: u8 },
    #[error("{code}: {0}", code = word(*.0))]
    Credentials(Refusal),
    #[error("{code}, so not leave a will there either")]
    Will { code: Code, of_device: bool },
    #[error("{0}")]
    Later(Code),
}

/// The code of a refused login.
fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Revoked | Refusal::RevokedSince => Code::Revoked.word(),
        Refusal::Certificate | Refusal::CertificateOver | Refusal::Authority => {
            Code::Certificate.word()
        }
        _ => Code::Auth.word(),
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::NotConnect(Code::Packet),
            Fault::NoClientId => Self::NoClientId,
            Fault::Password => Self::Credentials(Refusal::Token),
        }
    }
}

impl Refused {
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Silent => None,
            Self::Plain => Some(Code::Tls),
            Self::Handshake(error) if error.code() == code::Code::Tls => Some(Code::Tls),
            Self::Handshake(_) => Some(Code::Certificate),
            Self::Version { .. } => Some(Code::Version),
            Self::Credentials(Refusal::Revoked | Refusal::RevokedSince) => Some(Code::Revoked),
            Self::Credentials(
                Refusal::Certificate | Refusal::CertificateOver | Refusal::Authority,
            ) => Some(Code::Certificate),
            Self::Credentials(_) => Some(Code::Auth),
            Self::NoClientId => Some(Code::Packet),
            Self::NotConnect(code) | Self::Will { code, .. } | Self::Later(code) => Some(*code),
        }
    }

    /// The word by which the log tells one reason from another.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Handshake(error) => error.code().as_str(),
            _ => self.code().map_or("", Code::word),
        }
    }

    /// True if it is worth a line in the log. A client that went away within its own CONNECT, as
    /// one that is stopped then does, was not refused, and none is while the broker stops.
    pub(super) fn is_worth_a_line(&self) -> bool {
        !matches!(self.code(), None | Some(Code::Gone | Code::Stopped))
    }

    /// The bytes that the client gets before the socket closes. To a device "not authorized" says
    /// that it was removed or revoked; one that would leave its will elsewhere has a wrong configuration.
    pub(super) fn answer(&self) -> &'static [u8] {
        match self {
            // What is no TLS tells a client that speaks it more than silence.
            Self::NotConnect(Code::Tls) => &UNSUPPORTED_V3,
            Self::Silent | Self::NotConnect(_) | Self::Handshake(_) => &[],
            Self::Plain => &ALERT,
            Self::Version { level: 5 } => &UNSUPPORTED_V5,
            Self::Version { .. } => &UNSUPPORTED_V3,
            Self::NoClientId | Self::Credentials(Refusal::ClientId) => &[0x20, 2, 0, 2],
            Self::Later(_) => &[0x20, 2, 0, 3],
            Self::Credentials(
                Refusal::Token
                | Refusal::Replaced
                | Refusal::Unknown
                | Refusal::Changed
                | Refusal::Claim
                | Refusal::CertificateOver
                | Refusal::Authority,
            )
            | Self::Will {
                of_device: true, ..
            } => &[0x20, 2, 0, 4],
            Self::Credentials(Refusal::Revoked | Refusal::RevokedSince | Refusal::Certificate)
            | Self::Will { .. } => &[0x20, 2, 0, 5],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_leaves_while_it_connects_is_no_line_in_the_log() {
        for (refused, worth) in [
            (Refused::Silent, false),
            (Refused::NotConnect(Code::Gone), false),
            (Refused::Later(Code::Stopped), false),
            (Refused::NotConnect(Code::Timeout), true),
            (Refused::NotConnect(Code::Packet), true),
            (Refused::Credentials(Refusal::Token), true),
        ] {
            assert_eq!(refused.is_worth_a_line(), worth, "{refused}");
        }
    }
}
