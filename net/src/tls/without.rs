//! A program that speaks no TLS: it trusts nobody, and no endpoint of it is encrypted.

use tokio::net::TcpStream;

use super::{ClientKey, Pem, Time, TlsError};
use crate::endpoint::Endpoint;
use crate::stream::Stream;

/// The CAs that a client believes: none.
#[derive(Debug, Clone, Default)]
pub struct Trust(());

impl Trust {
    /// Believes nobody all the same.
    ///
    /// # Errors
    /// None.
    pub fn pinned(_ca: Pem<'_>) -> Result<Self, TlsError> {
        Ok(Self(()))
    }

    /// Shows nothing all the same.
    ///
    /// # Errors
    /// None.
    pub fn showing(
        &self,
        _chain: Pem<'_>,
        _key: ClientKey<'_>,
        _name: &str,
    ) -> Result<Self, TlsError> {
        Ok(self.clone())
    }

    /// Nothing is shown.
    #[must_use]
    pub fn shown(&self) -> Option<(u64, u64)> {
        None
    }

    /// True if it believes nobody.
    #[must_use]
    pub fn is_none(&self) -> bool {
        true
    }

    /// Certificates are nothing to it, and so is the time.
    pub fn set_time(&self, _time: Time) {}

    #[expect(clippy::unused_async, reason = "the same as with TLS")]
    pub(crate) async fn encrypt(
        &self,
        _stream: TcpStream,
        at: &Endpoint,
    ) -> Result<Box<dyn Stream>, TlsError> {
        Err(TlsError::unspoken(at))
    }
}
