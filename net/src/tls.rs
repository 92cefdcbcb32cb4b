//! TLS 1.3 by rustls: the one home of certificates and handshakes. A client believes the CA that
//! its configuration pins and no other; a server shows what is in its files. Nothing here decides
//! who may do what, and nothing is logged.

#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls-server")]
mod clients;
mod error;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls-server")]
pub mod server;
#[cfg(test)]
#[cfg(feature = "tls-server")]
mod tests;
#[cfg(feature = "tls")]
mod time;
#[cfg(not(feature = "tls"))]
mod without;
mod written;

#[cfg(feature = "tls")]
pub use certificate::Certificate;
#[cfg(feature = "tls")]
pub use client::Trust;
pub use error::TlsError;
#[cfg(feature = "tls")]
pub use pem::{certificates, ders};
#[cfg(not(feature = "tls"))]
pub use without::Trust;
pub use written::certificate_pem;

/// A text with certificates or a key, and the name that errors call it by.
#[derive(Clone, Copy)]
pub struct Pem<'a> {
    /// The file, or the place in a configuration.
    pub name: &'a str,
    /// The content.
    pub text: &'a [u8],
}

/// The key of a client's certificate.
#[derive(Clone, Copy)]
pub enum ClientKey<'a> {
    /// A text with it, as PEM.
    Pem(Pem<'a>),
    /// The seed of an Ed25519 key, and the name that errors call it by.
    Ed25519(&'a str, &'a [u8; 32]),
}

/// The time by which certificates are judged, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// It is this late.
    Known(u64),
    /// It is at least this late: a certificate that ended before is over, and none is from the
    /// future.
    AtLeast(u64),
}

impl Time {
    /// The latest time that is sure to have come.
    #[must_use]
    pub fn unix_s(self) -> u64 {
        let (Self::Known(unix_s) | Self::AtLeast(unix_s)) = self;
        unix_s
    }
}

/// The provider of cryptography: the one that adds least to a program on a device.
#[cfg(feature = "tls")]
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}
