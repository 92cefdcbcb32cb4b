//! Requests over HTTP/1.1 with bodies of any length in both directions, each on a connection of
//! its own. Nothing of a body is in memory as a whole.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hoist_protocol::code::Code;
use http_body_util::{BodyExt, Empty, Full, Limited};

pub use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, EXPECT, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::endpoint::{Endpoint, EndpointError, Scheme};
use crate::silence::Watched;
use crate::stream::{Unreached, connect};
use crate::tls::Trust;

/// Pieces waiting for the socket: a body is never in memory as a whole.
const PIECES_MAX: usize = 4;
/// For a connection: who listens answers within a round trip.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Without a byte in either direction. A server that has all of an upload still proves and syncs it,
/// and one that is asked for its rows copies them first.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct ExchangeError {
    said: String,
    /// That of a TLS error.
    code: Option<Code>,
}

impl ExchangeError {
    fn of(error: &dyn Error) -> Self {
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            said.push_str(": ");
            said.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { said, code: None }
    }

    /// The code of a TLS error; other failures have none of their own.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.code
    }
}

impl From<Unreached> for ExchangeError {
    fn from(error: Unreached) -> Self {
        match &error {
            Unreached::Name(error) | Unreached::Connection(error) => Self::of(error),
            Unreached::Tls(error) => Self {
                said: error.to_string(),
                code: Some(error.code()),
            },
        }
    }
}

impl From<EndpointError> for ExchangeError {
    fn from(error: EndpointError) -> Self {
        Self::of(&error)
    }
}

/// A server that knows its clients by their tokens.
#[derive(Clone)]
pub struct Server {
    endpoint: Endpoint,
    trust: Trust,
    token: String,
}

impl Server {
    /// The server at `http[s]://host[:port]`, or `host[:port]`, for whoever has this token. By TLS
    /// it is believed if `trust` knows its CA.
    ///
    /// # Errors
    /// [`ExchangeError`] for a text that is no such address.
    pub fn new(address: &str, trust: &Trust, token: &str) -> Result<Self, ExchangeError> {
        let endpoint = Endpoint::parse_as(Scheme::Http, address)?;
        if endpoint.path().trim_matches('/').is_empty() {
            let (trust, token) = (trust.clone(), token.to_owned());
            return Ok(Self {
                endpoint,
                trust,
                token,
            });
        }
        Err(EndpointError::Other.into())
    }

    /// Asks for what is at a path.
    ///
    /// # Errors
    /// [`ExchangeError`] without an answer.
    pub async fn get(&self, path: &str) -> Result<Answer, ExchangeError> {
        let request = self.request(Method::GET, path).body(Empty::<Bytes>::new());
        self.send(request).await
    }

    /// Puts content at a path. `welcome` is told when the server says that it wants the content
    /// (100 Continue); whoever waits for that sends nothing that is refused.
    ///
    /// # Errors
    /// [`ExchangeError`] without an answer.
    pub async fn put(
        &self,
        path: &str,
        content: Content,
        welcome: Arc<Notify>,
    ) -> Result<Answer, ExchangeError> {
        let request = self.request(Method::PUT, path);
        let mut request = request.header(EXPECT, "100-continue").body(content);
        if let Ok(request) = &mut request {
            hyper::ext::on_informational(request, move |_| welcome.notify_one());
        }
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.endpoint.authority())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn send<B>(
        &self,
        request: Result<Request<B>, hyper::http::Error>,
    ) -> Result<Answer, ExchangeError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        send((&self.endpoint, &self.trust), request).await
    }
}

/// Posts content to an address of somebody else, with these headers. By TLS the address is believed
/// if `trust` knows its CA.
///
/// # Errors
/// [`ExchangeError`] without an answer.
pub async fn post(
    (endpoint, trust): (&Endpoint, &Trust),
    headers: &[(&'static str, String)],
    content: Bytes,
) -> Result<Answer, ExchangeError> {
    let path = match endpoint.path() {
        "" => "/",
        path => path,
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, endpoint.authority());
    let with = |request: hyper::http::request::Builder, (name, value): &(&'static str, String)| {
        request.header(*name, value)
    };
    let request = headers.iter().fold(request, with);
    send((endpoint, trust), request.body(Full::new(content))).await
}

async fn send<B>(
    (endpoint, trust): (&Endpoint, &Trust),
    request: Result<Request<B>, hyper::http::Error>,
) -> Result<Answer, ExchangeError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let request = request.map_err(|error| ExchangeError::of(&error))?;
    let stream = tokio::time::timeout(CONNECT_MAX, connect(endpoint, trust)).await;
    let late = |_| Err(Unreached::Connection(io::ErrorKind::TimedOut.into()));
    let stream = stream.unwrap_or_else(late)?;
    let stream = TokioIo::new(Watched::new(stream, SILENCE_MAX));
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| ExchangeError::of(&error))?;
    let driver = Driver(tokio::spawn(async {
        // The request, or the body of its answer, says what was wrong.
        let _ = connection.await;
    }));
    let answer = sender.send_request(request).await;
    Ok(Answer {
        answer: answer.map_err(|error| ExchangeError::of(&error))?,
        _driver: driver,
    })
}

/// Drives a connection until it is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose body is still to be read.
pub struct Answer {
    answer: Response<Incoming>,
    _driver: Driver,
}

impl Answer {
    /// The status: its number, and [`fmt::Display`](std::fmt::Display) for people.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The next bytes of the body; nothing at its end.
    ///
    /// # Errors
    /// [`ExchangeError`] for a body that broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        while let Some(frame) = self.answer.frame().await {
            let frame = frame.map_err(|error| ExchangeError::of(&error))?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The whole body, when it is no longer than this; else nothing.
    pub async fn small(self, bytes_max: usize) -> Bytes {
        let body = Limited::new(self.answer.into_body(), bytes_max).collect();
        let body = body.await;
        body.map_or_else(|_| Bytes::new(), |body| body.to_bytes())
    }
}

/// The body of a request, of known length, whose pieces come as they are read.
pub struct Content {
    pieces: mpsc::Receiver<Bytes>,
    bytes_left: u64,
}

/// Takes the pieces of a [`Content`], waiting while the socket is slower.
pub struct Pieces(mpsc::Sender<Bytes>);

/// A body of so many bytes, and where they go.
#[must_use]
pub fn content(bytes: u64) -> (Pieces, Content) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let content = Content {
        pieces,
        bytes_left: bytes,
    };
    (Pieces(sender), content)
}

impl io::Write for Pieces {
    /// Waits, so it may not be called where tasks run.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Bytes::copy_from_slice(bytes))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(piece) => {
                self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None if self.bytes_left == 0 => None,
            // The reader gave up: the length promised can no longer be kept.
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_accepts_and_then_is_silent_is_not_waited_for_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            // From here on the clock moves as soon as nobody has anything to do.
            tokio::time::pause();
            stream
        });
        let server = Server::new(&address, &Trust::default(), "token").unwrap();
        let failure = server.get("/backup/rows").await.err().unwrap();
        let said = failure.to_string();
        assert!(said.contains("the server is silent for 120 s"), "{said}");
        drop(silent.await.unwrap());
    }
}
