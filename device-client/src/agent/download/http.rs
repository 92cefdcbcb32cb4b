//! The HTTP/1.1 exchange of a download: range request, redirects, time limits.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HOST, LOCATION, RANGE};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ArtifactWriter, DownloadError, Fetch};
use hoist_protocol::reason::Reason;

/// More are a loop (row 48).
const REDIRECTS_MAX: usize = 5;

/// Asks for what the writer lacks and gives it what comes.
pub(super) async fn receive(
    url: &str,
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
    progress: &mut impl FnMut(u8),
) -> Result<(), DownloadError> {
    if writer.is_complete() {
        return Ok(());
    }
    let offset = writer.offset();
    let (mut body, connection) = follow(url, fetch, offset).await?;
    let _closes_with_us = connection;
    // A server without Range begins at 0 again: what is proven is not needed twice.
    let mut skip = if is_partial(&body, offset)? {
        0
    } else {
        offset
    };
    let declared = declared_bytes(&body).map(|length| length.saturating_add(offset - skip));
    let mut percent_before = None;
    while !writer.is_complete() {
        let frame = timeout(fetch.limits.idle, body.frame())
            .await
            .map_err(|_| DownloadError::network(format!("{url} sends nothing any more")))?;
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|error| DownloadError::network(format!("{url} broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(data.len());
        skip -= skipped as u64;
        writer.push(&data[skipped..])?;
        let percent = percent(writer.offset(), fetch.artifact.size);
        if percent_before < Some(percent) {
            progress(percent);
            percent_before = Some(percent);
        }
    }
    if !writer.is_complete() {
        return Err(DownloadError::length(writer.offset(), fetch.artifact.size));
    }
    if declared.is_some_and(|length| length > fetch.artifact.size) {
        tracing::warn!(
            url,
            "the server has more bytes than were signed; stopped at the signed length"
        );
    }
    Ok(())
}

fn percent(had: u64, all: u64) -> u8 {
    let percent = u128::from(had) * 100 / u128::from(all.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

fn declared_bytes(response: &Response<Incoming>) -> Option<u64> {
    response
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Whether the body begins at the asked offset (206) or at 0 (200).
fn is_partial(response: &Response<Incoming>, offset: u64) -> Result<bool, DownloadError> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(false);
    }
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let begins = range
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split('-').next()?.parse::<u64>().ok());
    if begins == Some(offset) {
        return Ok(true);
    }
    Err(DownloadError::network(format!(
        "asked for bytes from {offset}, the answer is for {range:?}"
    )))
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
    fetch: &Fetch,
    offset: u64,
) -> Result<(Response<Incoming>, Connection), DownloadError> {
    let mut uri = parse(url)?;
    for _ in 0..=REDIRECTS_MAX {
        let answer = timeout(fetch.limits.answer, ask(&uri, offset)).await;
        let (response, connection) =
            answer.map_err(|_| DownloadError::network(format!("{uri} does not answer")))??;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok((response, connection)),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(DownloadError::length(offset, fetch.artifact.size));
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
    let uri: Uri = url.parse().map_err(|error| {
        DownloadError::refused(
            Reason::DownloadFailed,
            format!("{url} is no address: {error}"),
        )
    })?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(_)) => Ok(uri),
        (Some("https"), _) => Err(DownloadError::refused(
            Reason::DownloadFailed,
            format!(
                "{url} needs https, which this version does not speak: use http, every byte is proven by hash"
            ),
        )),
        _ => Err(DownloadError::refused(
            Reason::DownloadFailed,
            format!("{url} is not an http address"),
        )),
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

async fn ask(uri: &Uri, offset: u64) -> Result<(Response<Incoming>, Connection), DownloadError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        DownloadError::network(format!("{what} {uri}: {error}"))
    };
    let host = uri.host().unwrap_or_default();
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| failed("cannot reach", &error))?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| failed("cannot speak with", &error))?;
    let connection = Connection(tokio::spawn(async move {
        // Its failure is seen by whoever reads the body.
        let _ended = driver.await;
    }));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path);
    if let Some(authority) = uri.authority() {
        request = request.header(HOST, authority.as_str());
    }
    if offset > 0 {
        request = request.header(RANGE, format!("bytes={offset}-"));
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
