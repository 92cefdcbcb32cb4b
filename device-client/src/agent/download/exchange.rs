//! One GET over HTTP/1.1, as little of it as a download needs: a full client library would
//! be a tenth of the agent. Nothing in an answer is trusted; every length is bounded.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any server or portal sends before a body.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// A chunk's size with its extensions, which nobody uses.
const SIZE_LINE_BYTES_MAX: usize = 1024;
/// Read at once: what a fast network delivers in a moment.
const READ_BYTES: usize = 16 * 1024;
/// After a chunk's data.
const LINE_END_BYTES: u64 = 2;

/// The parts of an `http://` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `host[:port]`, as in the `Host` header.
    pub(super) authority: String,
    /// From the first `/` on.
    pub(super) path: String,
}

impl Address {
    /// The parts of an address without user names; nothing if it is none.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        // Nothing that could end a line of the request.
        let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !scheme.eq_ignore_ascii_case("http") || !is_clean {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let address = Self {
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        };
        let is_named = !authority.contains('@') && !address.host().is_empty();
        (is_named && address.port().is_some()).then_some(address)
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.split().0.trim_matches(['[', ']'])
    }

    fn port(&self) -> Option<u16> {
        match self.split().1 {
            "" => Some(80),
            port => port.parse().ok(),
        }
    }

    fn split(&self) -> (&str, &str) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (&self.authority, ""),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// Bytes that the body says it has.
    pub(super) length: Option<u64>,
    pub(super) content_range: Option<String>,
    pub(super) location: Option<String>,
    body: Body,
    stream: TcpStream,
    /// Read and not yet given away.
    buffer: Vec<u8>,
}

/// How much of the body is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of a chunk and the end of its line; with none, its size follows.
    Chunk(u64),
    /// Whatever comes until the server closes.
    ToTheEnd,
}

/// Asks for a range of bytes at an address.
pub(super) async fn get(address: &Address, range: &Range<u64>) -> io::Result<Response> {
    let port = address.port().unwrap_or_default();
    let mut stream = TcpStream::connect((address.host(), port)).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nRange: bytes={}-{}\r\n\r\n",
        address.path,
        address.authority,
        range.start,
        range.end.saturating_sub(1)
    );
    stream.write_all(request.as_bytes()).await?;
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
        read_more(&mut stream, &mut buffer).await?;
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
                "transfer-encoding" => return Err(broken("an encoding nobody asked for")),
                "content-range" => head.content_range = Some(value),
                "location" => head.location = Some(value),
                _ => {}
            }
        }
        Ok(Some((head, end)))
    }

    fn into_response(self, stream: TcpStream, buffer: Vec<u8>) -> Response {
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
            body,
            stream,
            buffer,
        }
    }
}

impl Response {
    /// The next bytes of the body; nothing at its end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
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
                    read_more(&mut self.stream, &mut self.buffer).await?;
                }
            }
        }
    }

    /// At least one byte, and at most `most`.
    async fn take(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            read_more(&mut self.stream, &mut self.buffer).await?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let rest = self.buffer.split_off(most.min(self.buffer.len()));
        Ok(std::mem::replace(&mut self.buffer, rest))
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
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
#[path = "exchange_tests.rs"]
mod tests;
