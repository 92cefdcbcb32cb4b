//! One GET over HTTP/1.1, as little of it as a download needs: a full client library would
//! be a tenth of the agent. Nothing in an answer is trusted; every length is bounded.

use std::io::{self, ErrorKind};
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::endpoint::Endpoint;
pub use crate::stream::Unreached;
use crate::stream::{self, Stream};
use crate::tls::Trust;

/// More than any server or portal sends before a body.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// A chunk's size with its extensions, which nobody uses.
const SIZE_LINE_BYTES_MAX: usize = 1024;
/// Read at once: what a fast network delivers in a moment.
const READ_BYTES: usize = 16 * 1024;
/// After a chunk's data.
const LINE_END_BYTES: u64 = 2;

/// An answer whose body is still to be read.
pub struct Response {
    /// The number of its status.
    pub status: u16,
    /// Bytes that the body says it has.
    pub length: Option<u64>,
    /// Which bytes of the whole it has.
    pub content_range: Option<String>,
    /// Where else to ask.
    pub location: Option<String>,
    /// What was done to the content, unless nothing.
    pub content_encoding: Option<String>,
    /// Seconds before the server wants to be asked again.
    pub retry_after_s: Option<u64>,
    body: Body,
    stream: Box<dyn Stream>,
    /// Read and not yet given away.
    buffer: Vec<u8>,
}

/// The rest of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of a chunk and the end of its line; with none, its size follows.
    Chunk(u64),
    /// Whatever comes until the server closes.
    ToTheEnd,
}

/// A connection on which nothing was asked yet.
pub struct Connected(Box<dyn Stream>);

/// Connects to the host of an address.
///
/// # Errors
/// [`Unreached`].
pub async fn connect(address: &Endpoint, trust: &Trust) -> Result<Connected, Unreached> {
    stream::connect(address, trust).await.map(Connected)
}

/// What a request names: a proxy wants to know the host, too (RFC 9112, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Path and query.
    Origin,
    /// The whole address.
    Absolute,
}

/// Asks for a range of bytes at an address.
///
/// # Errors
/// Of the connection; `InvalidData` for what is no answer.
pub async fn get(
    Connected(mut stream): Connected,
    address: &Endpoint,
    target: Target,
    range: &Range<u64>,
) -> io::Result<Response> {
    let prefix = match target {
        Target::Origin => String::new(),
        Target::Absolute => address.to_string(),
    };
    let request = format!(
        "GET {prefix}{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept-Encoding: identity\r\n\
         Range: bytes={}-{}\r\n\r\n",
        address.path(),
        address.authority(),
        range.start,
        range.end.saturating_sub(1)
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut buffer = Vec::new();
    loop {
        if let Some((head, end)) = Head::parse(&buffer)? {
            buffer.drain(..end);
            // 1xx only says that an answer will follow.
            if !(100..200).contains(&head.status) {
                return Ok(head.into_response(stream, buffer));
            }
            continue;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(broken("the answer's head is too long"));
        }
        read_more(&mut *stream, &mut buffer).await?;
    }
}

/// What a download must know of an answer's head.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    is_chunked: bool,
    content_range: Option<String>,
    location: Option<String>,
    content_encoding: Option<String>,
    retry_after_s: Option<u64>,
}

impl Head {
    /// The head and its bytes, once it is whole.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let end = match parsed.parse(bytes).map_err(broken)? {
            httparse::Status::Complete(end) => end,
            httparse::Status::Partial => return Ok(None),
        };
        let mut head = Self {
            status: parsed.code.unwrap_or_default(),
            ..Self::default()
        };
        for header in parsed.headers.iter() {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let length = value.parse().map_err(|_| broken("bad content-length"))?;
                    if head
                        .length
                        .replace(length)
                        .is_some_and(|other| other != length)
                    {
                        return Err(broken("two content-lengths"));
                    }
                }
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                    head.is_chunked = true;
                }
                "transfer-encoding" => {
                    let what = format!("transfer-encoding {value:?}, which nobody asked for");
                    return Err(broken(what));
                }
                "content-range" => head.content_range = Some(value),
                "content-encoding" if !value.eq_ignore_ascii_case("identity") => {
                    head.content_encoding = Some(value);
                }
                "location" => head.location = Some(value),
                // A date is no use to a device without a clock.
                "retry-after" => head.retry_after_s = value.parse().ok(),
                _ => {}
            }
        }
        Ok(Some((head, end)))
    }

    fn into_response(self, stream: Box<dyn Stream>, buffer: Vec<u8>) -> Response {
        // A chunked body's length is in its chunks (RFC 9112, 6.3).
        let length = self.length.filter(|_| !self.is_chunked);
        let body = match length {
            _ if self.is_chunked => Body::Chunk(0),
            Some(length) => Body::Bytes(length),
            None => Body::ToTheEnd,
        };
        Response {
            status: self.status,
            length,
            content_range: self.content_range,
            location: self.location,
            content_encoding: self.content_encoding,
            retry_after_s: self.retry_after_s,
            body,
            stream,
            buffer,
        }
    }
}

impl Response {
    /// The next bytes of the body; nothing at its end.
    ///
    /// # Errors
    /// Of the connection; `InvalidData` for what is no body.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.body {
                Body::Bytes(0) => return Ok(None),
                Body::Bytes(left) => {
                    let data = self.take(left).await?;
                    self.body = Body::Bytes(left - data.len() as u64);
                    return Ok(Some(data));
                }
                Body::Chunk(0) => match self.chunk_size().await? {
                    0 => self.body = Body::Bytes(0),
                    size => self.body = Body::Chunk(size.saturating_add(LINE_END_BYTES)),
                },
                Body::Chunk(left @ ..=LINE_END_BYTES) => {
                    let end = self.take(left).await?;
                    self.body = Body::Chunk(left - end.len() as u64);
                }
                Body::Chunk(left) => {
                    let data = self.take(left - LINE_END_BYTES).await?;
                    self.body = Body::Chunk(left - data.len() as u64);
                    return Ok(Some(data));
                }
                Body::ToTheEnd => match self.take(u64::MAX).await {
                    Ok(data) => return Ok(Some(data)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                    Err(error) => return Err(error),
                },
            }
        }
    }

    async fn chunk_size(&mut self) -> io::Result<u64> {
        loop {
            let parsed = httparse::parse_chunk_size(&self.buffer);
            match parsed.map_err(|_| broken("bad chunk size"))? {
                httparse::Status::Complete((end, size)) => {
                    self.buffer.drain(..end);
                    return Ok(size);
                }
                httparse::Status::Partial if self.buffer.len() > SIZE_LINE_BYTES_MAX => {
                    return Err(broken("a chunk's size is too long"));
                }
                httparse::Status::Partial => {
                    read_more(&mut *self.stream, &mut self.buffer).await?;
                }
            }
        }
    }

    /// At least one byte, and at most `most`.
    async fn take(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            read_more(&mut *self.stream, &mut self.buffer).await?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let rest = self.buffer.split_off(most.min(self.buffer.len()));
        Ok(std::mem::replace(&mut self.buffer, rest))
    }
}

async fn read_more(stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.reserve(READ_BYTES);
    match stream.read_buf(buffer).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn broken(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
#[path = "get_tests.rs"]
mod tests;
