//! The HTTP/1.1 exchange of a download: bounded range requests, redirects, time limits. A
//! server is believed nothing but where its bytes begin, and that only until their hash
//! is known.

use std::ops::Range;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HOST, LOCATION, RANGE};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DownloadError, Limits};
use hoist_protocol::reason::Reason;

/// More are a loop (row 48).
const REDIRECTS_MAX: usize = 5;
/// Bytes of a body held by the connection: hyper's own bound is 400 KiB.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// An answer whose body is being read.
pub(super) struct Answer {
    uri: Uri,
    body: Incoming,
    /// Closes with the answer.
    _connection: Connection,
    limits: Limits,
    /// Bytes before those asked for.
    skip: u64,
    /// Bytes of the whole file, as the server says.
    pub(super) file_bytes: Option<u64>,
}

impl Answer {
    /// Asks for a range of a file; a server without ranges sends all of it.
    pub(super) async fn ask(
        url: &str,
        limits: Limits,
        range: Range<u64>,
    ) -> Result<Self, DownloadError> {
        let (uri, response, connection) = follow(url, limits, &range).await?;
        let (begins, file_bytes) = if response.status() == StatusCode::PARTIAL_CONTENT {
            content_range(&response, &range)?
        } else {
            (0, declared_bytes(&response))
        };
        Ok(Self {
            uri,
            body: response.into_body(),
            _connection: connection,
            limits,
            // What is proven is not needed twice.
            skip: range.start - begins,
            file_bytes,
        })
    }

    /// The next bytes of the range, or none at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let uri = &self.uri;
        loop {
            let frame = timeout(self.limits.idle, self.body.frame()).await;
            let frame = frame
                .map_err(|_| DownloadError::network(format!("{uri} sends nothing any more")))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame
                .map_err(|error| DownloadError::network(format!("{uri} broke off: {error}")))?;
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            let skipped = data
                .len()
                .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            let data = data.split_off(skipped);
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// What wrong bytes of this answer mean. A portal's page does not even have the
    /// artifact's length: it goes away with the portal.
    pub(super) fn judge(&self, error: DownloadError, signed_bytes: u64) -> DownloadError {
        if error.is_wrong_content() && self.file_bytes != Some(signed_bytes) {
            let detail = format!("{} answers with something else: {error}", self.uri);
            return DownloadError::network(detail);
        }
        error
    }
}

fn declared_bytes(response: &Response<Incoming>) -> Option<u64> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Where the answer begins, and the bytes of the whole file.
fn content_range(
    response: &Response<Incoming>,
    asked: &Range<u64>,
) -> Result<(u64, Option<u64>), DownloadError> {
    let header = response.headers().get(CONTENT_RANGE);
    let header = header.and_then(|range| range.to_str().ok());
    let parts = header
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('/'));
    let begins = parts.and_then(|(range, _)| range.split('-').next()?.parse().ok());
    match begins {
        Some(begins) if begins <= asked.start => {
            Ok((begins, parts.and_then(|(_, all)| all.parse().ok())))
        }
        _ => Err(DownloadError::network(format!(
            "asked for bytes from {}, the answer is for {header:?}",
            asked.start
        ))),
    }
}

/// Drives the connection; ends with the download.
struct Connection(tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(
    url: &str,
    limits: Limits,
    range: &Range<u64>,
) -> Result<(Uri, Response<Incoming>, Connection), DownloadError> {
    let mut uri = parse(url)?;
    for _ in 0..=REDIRECTS_MAX {
        let answer = timeout(limits.answer, send(&uri, range)).await;
        let (response, connection) =
            answer.map_err(|_| DownloadError::network(format!("{uri} does not answer")))??;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok((uri, response, connection)),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(DownloadError::length(range.start, range.end));
            }
            status if status.is_redirection() => uri = redirected(&uri, &response)?,
            status => return Err(DownloadError::network(format!("{uri} answers {status}"))),
        }
    }
    Err(DownloadError::network(format!(
        "{url} redirects more than {REDIRECTS_MAX} times"
    )))
}

fn parse(url: &str) -> Result<Uri, DownloadError> {
    let refuse = |detail| DownloadError::refused(Reason::DownloadFailed, detail);
    let uri: Uri = url
        .parse()
        .map_err(|error| refuse(format!("{url} is no address: {error}")))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(uri),
        (Some("https"), _) => Err(refuse(format!(
            "{url} needs https, which this version does not speak: use http, every byte is proven by hash"
        ))),
        _ => Err(refuse(format!("{url} is not an http address"))),
    }
}

/// Only the same host: elsewhere may be a portal that answers everything (row 48). Later
/// may help, when the portal is gone.
fn redirected(from: &Uri, response: &Response<Incoming>) -> Result<Uri, DownloadError> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
        .unwrap_or_default();
    let to = match (
        location.starts_with('/') && !location.starts_with("//"),
        from.authority(),
    ) {
        (true, Some(authority)) => format!("http://{authority}{location}"),
        _ => location.to_owned(),
    };
    let refuse = || {
        DownloadError::network(format!(
            "{from} redirects to {to:?}, which is not http on the same host"
        ))
    };
    let uri = parse(&to).map_err(|_| refuse())?;
    if uri.host() == from.host() {
        Ok(uri)
    } else {
        Err(refuse())
    }
}

async fn send(
    uri: &Uri,
    range: &Range<u64>,
) -> Result<(Response<Incoming>, Connection), DownloadError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        DownloadError::network(format!("{what} {uri}: {error}"))
    };
    let host = uri.host().unwrap_or_default();
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| failed("cannot reach", &error))?;
    let (mut sender, driver) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| failed("cannot speak with", &error))?;
    let connection = Connection(tokio::spawn(async move {
        // Its failure is seen by whoever reads the body.
        let _ended = driver.await;
    }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let last = range.end.saturating_sub(1);
    let mut request = Request::get(path).header(RANGE, format!("bytes={}-{last}", range.start));
    if let Some(authority) = uri.authority() {
        request = request.header(HOST, authority.as_str());
    }
    let request = request
        .body(Empty::new())
        .map_err(|error| failed("cannot ask", &error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| failed("no answer from", &error))?;
    Ok((response, connection))
}
