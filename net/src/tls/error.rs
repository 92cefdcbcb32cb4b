//! The reasons that no TLS comes about or no certificate can be used: one sentence each, with what
//! to do.

use std::fmt;

use hoist_protocol::code::Code;

use crate::endpoint::Endpoint;

/// A handshake that failed, or a certificate that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    code: Code,
    said: String,
    help: Option<String>,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)?;
        self.help.iter().try_for_each(|help| write!(f, ": {help}"))
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    pub(crate) fn new(code: Code, said: impl Into<String>) -> Self {
        Self {
            code,
            said: said.into(),
            help: None,
        }
    }

    /// The same with what to do in just this case.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { help, ..self }
    }

    /// The failure without what to do.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// What to do, where more is known than the code's own hint says.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// True if these bytes are the beginning of an alert of TLS: what a server that speaks only TLS
    /// answers to whoever does not.
    #[must_use]
    pub fn is_alert(bytes: &[u8]) -> bool {
        bytes.starts_with(&[21, 3])
    }

    /// A server that speaks only TLS, and was asked without.
    pub(crate) fn only_encrypted(at: &Endpoint) -> Self {
        let scheme = at.scheme().word();
        let said = format!("{} speaks only TLS at this port", at.authority());
        let help = format!("write {scheme}s:// for {scheme}://, with the `ca` of the server");
        Self::new(Code::Tls, said).with_help(help)
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn unspoken(at: &Endpoint) -> Self {
        Self::new(
            Code::Tls,
            format!("this program speaks no TLS, and {at} is reached only by it"),
        )
    }
}

#[cfg(not(feature = "tls"))]
impl TlsError {
    /// The TLS error in an error of a socket.
    #[must_use]
    pub fn of(_error: &std::io::Error) -> Option<Self> {
        None
    }
}

#[cfg(feature = "tls")]
mod handshake {
    use std::io;

    use hoist_protocol::code::Code;
    use rustls::pki_types::UnixTime;
    use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

    use super::TlsError;
    use crate::tls::certificate::date;

    impl TlsError {
        /// The TLS error in an error of a socket.
        #[must_use]
        pub fn of(error: &io::Error) -> Option<Self> {
            let inner = error.get_ref()?;
            let tls = inner.downcast_ref::<Error>()?;
            Some(Self::of_rustls(tls, "the other side"))
        }

        /// A handshake with `host` that failed.
        pub(crate) fn of_handshake(error: &io::Error, host: &str) -> Self {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Error>());
            if let Some(tls) = inner {
                return Self::of_rustls(tls, host);
            }
            let said = format!("the TLS handshake with {host} broke off ({error})");
            Self::new(Code::Tls, said)
                .with_help("it may not speak TLS at this port, or be too busy")
        }

        /// A handshake with a client that failed; `subject` is that of the certificate which it
        /// shows.
        #[cfg(feature = "tls-server")]
        pub(crate) fn of_client(error: &io::Error, subject: Option<&str>) -> Self {
            let inner = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Error>());
            let subject = subject.unwrap_or("a client");
            match inner {
                Some(Error::InvalidCertificate(error)) => Self::of_shown(error, subject),
                _ => {
                    let said = format!("the client ended the TLS handshake ({error})");
                    Self::new(Code::Tls, said)
                }
            }
        }

        #[cfg(feature = "tls-server")]
        fn of_shown(error: &CertificateError, subject: &str) -> Self {
            match error {
                CertificateError::ExpiredContext { time, not_after } => Self::new(
                    Code::CertificateExpired,
                    format!(
                        "the certificate of {subject} expired on {}, and here it is {}",
                        at(not_after),
                        at(time)
                    ),
                )
                .with_help("give it another one"),
                CertificateError::NotValidYetContext { time, not_before } => Self::new(
                    Code::CertificateNotYet,
                    format!(
                        "the certificate of {subject} is not valid before {}, and here it is {}",
                        at(not_before),
                        at(time)
                    ),
                )
                .with_help("set the clock that is wrong"),
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::new(
                    Code::CertificateIssuer,
                    format!(
                        "the certificate of {subject} was made by no CA that is accepted of clients"
                    ),
                )
                .with_help("name its CA with `hoist serve --client-ca FILE`"),
                error => Self::new(
                    Code::Certificate,
                    format!("the certificate of {subject} is not one of a client: {error}"),
                ),
            }
        }

        /// An alert of a server: it does not accept something of this client.
        fn of_alert(alert: AlertDescription, host: &str) -> Self {
            let (code, what) = match alert {
                AlertDescription::CertificateExpired => (
                    Code::CertificateExpired,
                    "the certificate that is shown here has expired, or is not valid yet",
                ),
                AlertDescription::UnknownCA | AlertDescription::DecryptError => (
                    Code::CertificateIssuer,
                    "the certificate that is shown here is of no CA that it accepts of clients",
                ),
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateUnknown => (
                    Code::Certificate,
                    "the certificate that is shown here cannot be used",
                ),
                alert => {
                    let said = format!("{host} refuses the TLS handshake ({alert:?})");
                    return Self::new(Code::Tls, said).with_help("its log says why");
                }
            };
            Self::new(code, format!("{host} says that {what}")).with_help("its log says more")
        }

        fn of_rustls(error: &Error, host: &str) -> Self {
            match error {
                Error::InvalidCertificate(error) => Self::of_certificate(error, host),
                Error::InvalidMessage(
                    InvalidMessage::InvalidContentType
                    | InvalidMessage::UnknownProtocolVersion
                    | InvalidMessage::MessageTooLarge
                    | InvalidMessage::InvalidEmptyPayload,
                ) => Self::new(Code::Tls, format!("{host} answers, and not by TLS"))
                    .with_help("it listens without at this port, which is mqtt:// or http://"),
                Error::PeerIncompatible(_)
                | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::new(
                    Code::Tls,
                    format!("{host} and this program have no version of TLS in common"),
                )
                .with_help("TLS 1.3 is spoken here"),
                Error::AlertReceived(alert) => Self::of_alert(*alert, host),
                error => Self::new(Code::Tls, format!("no TLS with {host}: {error}")),
            }
        }

        fn of_certificate(error: &CertificateError, host: &str) -> Self {
            match error {
                CertificateError::ExpiredContext { time, not_after } => Self::new(
                    Code::CertificateExpired,
                    format!(
                        "the certificate of {host} expired on {}, and here it is {}",
                        at(not_after),
                        at(time)
                    ),
                )
                .with_help("renew it there, or set the clock here"),
                CertificateError::NotValidYetContext { time, not_before } => Self::new(
                    Code::CertificateNotYet,
                    format!(
                        "the certificate of {host} is not valid before {}, and here it is {}",
                        at(not_before),
                        at(time)
                    ),
                ),
                CertificateError::NotValidForNameContext {
                    expected,
                    presented,
                } => {
                    let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
                    let expected = expected.to_str();
                    Self::new(
                        Code::CertificateName,
                        format!(
                            "the certificate of {host} is for {}, not for {expected}",
                            names.join(", ")
                        ),
                    )
                    .with_help(
                        "connect by one of its names, or give the server this one too, in the list of --name",
                    )
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::new(
                    Code::CertificateIssuer,
                    format!("the certificate of {host} was made by no CA that is trusted here"),
                )
                .with_help(
                    "if it is the right server, take the `ca` of its client.toml, or a new agent.toml of `hoist device add`",
                ),
                error => Self::new(
                    Code::Certificate,
                    format!("the certificate of {host} is not one of a server: {error}"),
                ),
            }
        }
    }

    fn at(time: &UnixTime) -> String {
        date(time.as_secs())
    }

    /// The name in `DnsName("a.example")` and the like.
    fn bare(presented: &str) -> &str {
        let inner = presented
            .split_once('(')
            .map_or(presented, |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"')
    }
}
