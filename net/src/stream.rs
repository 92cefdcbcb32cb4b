//! Sockets: plain or encrypted, they are the same to whoever speaks over them.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use crate::endpoint::Endpoint;
use crate::tls::{TlsError, Trust};

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The reason that there is no connection.
#[derive(Debug)]
pub enum Unreached {
    /// The name was not found.
    Name(io::Error),
    /// Nobody there answers.
    Connection(io::Error),
    /// Somebody answers, and it is not by TLS, or not who it should be.
    Tls(TlsError),
}

/// Connects to the host of an address, by TLS where its scheme says so.
///
/// # Errors
/// [`Unreached`].
pub async fn connect(address: &Endpoint, trust: &Trust) -> Result<Box<dyn Stream>, Unreached> {
    let found = lookup_host((address.host(), address.port())).await;
    let found: Vec<_> = found.map_err(Unreached::Name)?.collect();
    let stream = TcpStream::connect(found.as_slice()).await;
    let stream = stream.map_err(Unreached::Connection)?;
    // Small messages must not wait for each other's acknowledgment.
    stream.set_nodelay(true).map_err(Unreached::Connection)?;
    if address.scheme().is_encrypted() {
        return trust.encrypt(stream, address).await.map_err(Unreached::Tls);
    }
    Ok(Box::new(stream))
}
