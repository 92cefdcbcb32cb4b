//! The HTTP/1.1 exchange of a download: bounded range requests, redirects, time limits. A
//! server is believed nothing but where its bytes begin, and that only until their hash
//! is known.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Duration;

use hoist_net::get::{Connected, Response, Target, Unreached, connect, get};
use hoist_net::tls::Trust;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::RetryCause;
use tokio::time::timeout;

use super::address::{Address, UrlError};
use super::{DownloadError, Fetch, Limits};

/// More are a loop (bad-inputs row 48).
const REDIRECTS_MAX: usize = 5;
const OK: u16 = 200;
const PARTIAL: u16 = 206;
const RANGE_NOT_SATISFIABLE: u16 = 416;
const TOO_MANY_REQUESTS: u16 = 429;
const UNAVAILABLE: u16 = 503;
/// Characters shown of what a server says of itself.
const SHOWN_CHARS: usize = 32;

/// An answer whose body is being read.
pub(super) struct Answer {
    address: Address,
    response: Response,
    limits: Limits,
    /// Bytes before those asked for.
    skip: u64,
    /// Bytes of the whole file, as the server says.
    pub(super) file_bytes: Option<u64>,
    /// Bytes of the range so far.
    came: u64,
}

impl Answer {
    /// Asks for a range of the file; a server without ranges sends all of it.
    pub(super) async fn ask(fetch: &Fetch, range: Range<u64>) -> Result<Self, DownloadError> {
        let (address, response) = follow(fetch, &range).await?;
        let (begins, file_bytes) = match response.status {
            PARTIAL => content_range(&address, &response, &range)?,
            _ => (0, response.length),
        };
        Ok(Self {
            address,
            response,
            limits: fetch.limits,
            // What is had is not needed twice.
            skip: range.start - begins,
            file_bytes,
            came: 0,
        })
    }

    /// The next bytes of the range, or none at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, DownloadError> {
        loop {
            let data = timeout(self.limits.idle, self.response.next()).await;
            let data = data.map_err(|_| self.broke_off(None))?;
            let data = data.map_err(|error| self.broke_off(Some(&error)))?;
            let Some(mut data) = data else {
                return Ok(None);
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let skipped = data.len().min(skipped);
            self.skip -= skipped as u64;
            let data = data.split_off(skipped);
            if !data.is_empty() {
                self.came += data.len() as u64;
                return Ok(Some(data));
            }
        }
    }

    /// The body ended by an error, or by silence.
    fn broke_off(&self, error: Option<&io::Error>) -> DownloadError {
        let (host, came) = (&self.address, self.came);
        let without_range = match self.response.status {
            OK if self.skip > 0 => ", which knows no ranges",
            _ => "",
        };
        match error {
            None => DownloadError::network(
                RetryCause::Silent,
                format!("no more bytes from {host} after {came}"),
            ),
            Some(error) if error.kind() == ErrorKind::InvalidData => wrong_answer(host, error),
            Some(error) => DownloadError::network(
                RetryCause::Cut,
                format!(
                    "connection cut by {host}{without_range} after {came} bytes{}",
                    told(error)
                ),
            ),
        }
    }

    /// The body ended in order, and too early.
    pub(super) fn ended(&self, had: u64, signed: u64) -> DownloadError {
        DownloadError::length(&self.address.to_string(), had, signed)
    }

    /// True if this is a part of the file that was asked for, as far as its spec can tell: a portal
    /// answers with a page of another length.
    pub(super) fn is_of(&self, signed_bytes: u64) -> bool {
        self.response.status == PARTIAL || self.file_bytes == Some(signed_bytes)
    }

    /// The meaning of wrong bytes in this answer. A portal's page does not even have the artifact's
    /// length: it goes away with the portal.
    pub(super) fn judge(&self, error: DownloadError, signed_bytes: u64) -> DownloadError {
        if error.is_wrong_content() && self.file_bytes != Some(signed_bytes) {
            let detail = format!("something else from {}: {error}", self.address);
            return DownloadError::network(RetryCause::Failed(Reason::HashMismatch), detail);
        }
        error
    }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => String::new(),
        _ => format!(" ({error})"),
    }
}

fn wrong_answer(host: &Address, error: &io::Error) -> DownloadError {
    let detail = format!("an answer from {host} that is not right: {error}");
    DownloadError::network(RetryCause::Failed(Reason::DownloadFailed), detail)
}

/// Where the answer begins, and the bytes of the whole file.
fn content_range(
    host: &Address,
    response: &Response,
    asked: &Range<u64>,
) -> Result<(u64, Option<u64>), DownloadError> {
    let header = response.content_range.as_deref();
    let parts = header
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('/'));
    let begins = parts.and_then(|(range, _)| range.split('-').next()?.parse().ok());
    match begins {
        Some(begins) if begins <= asked.start => {
            Ok((begins, parts.and_then(|(_, all)| all.parse().ok())))
        }
        _ => Err(DownloadError::network(
            RetryCause::Failed(Reason::DownloadFailed),
            format!(
                "asked {host} for bytes from {}, its answer is for {}",
                asked.start,
                shown(header.unwrap_or("none"))
            ),
        )),
    }
}

async fn follow(fetch: &Fetch, range: &Range<u64>) -> Result<(Address, Response), DownloadError> {
    let source = fetch.source.as_deref().ok_or_else(|| {
        DownloadError::network(
            RetryCause::Failed(Reason::DownloadFailed),
            "nothing says where artifacts are: set `artifacts` in agent.toml, or the server's source",
        )
    })?;
    let source = source.trim_end_matches('/');
    let address = Address::parse(&format!("{source}/{}", fetch.artifact.id()));
    let mut address = address.map_err(|error| {
        let detail = format!("the source of artifacts cannot be used: {error}");
        DownloadError::refused(Reason::DownloadFailed, detail)
    })?;
    if address.is_encrypted() && fetch.trust.is_none() {
        let detail = "the source of artifacts is https, and agent.toml pins no `ca` for it";
        return Err(DownloadError::refused(
            Reason::DownloadFailed,
            detail.to_owned(),
        ));
    }
    for _ in 0..=REDIRECTS_MAX {
        let response = exchange(fetch, &address, range).await?;
        match response.status {
            OK | PARTIAL => return not_encoded(&address, response),
            RANGE_NOT_SATISFIABLE => {
                let host = address.to_string();
                let signed = fetch.artifact.size;
                return Err(DownloadError::length(&host, range.start, signed));
            }
            300..400 => address = redirected(&address, &response, &fetch.trust)?,
            status => return Err(refused(&address, status, &response)),
        }
    }
    Err(DownloadError::network(
        RetryCause::Failed(Reason::DownloadFailed),
        format!("more than {REDIRECTS_MAX} redirects from {address}"),
    ))
}

/// One request and the head of its answer.
async fn exchange(
    fetch: &Fetch,
    address: &Address,
    range: &Range<u64>,
) -> Result<Response, DownloadError> {
    let proxy = fetch.proxies.on_the_way_to(address);
    let (host, target) = match proxy {
        Some(proxy) => (proxy, Target::Absolute),
        None => (address, Target::Origin),
    };
    let stream = reach(host, fetch).await?;
    let answer = timeout(
        fetch.limits.answer,
        get(stream, address.endpoint(), target, range),
    )
    .await;
    let silent = |_| {
        let detail = format!("no answer from {host}");
        DownloadError::network(RetryCause::Silent, detail)
    };
    answer.map_err(silent)?.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => wrong_answer(host, &error),
        _ => {
            let detail = format!(
                "connection cut by {host} before it answered{}",
                told(&error)
            );
            DownloadError::network(RetryCause::Cut, detail)
        }
    })
}

async fn reach(host: &Address, fetch: &Fetch) -> Result<Connected, DownloadError> {
    let (name, port) = (host.host(), host.port());
    let unreachable = |what: String| DownloadError::network(RetryCause::Unreachable, what);
    let stream = timeout(fetch.limits.answer, connect(host.endpoint(), &fetch.trust)).await;
    let stream = stream.map_err(|_| unreachable(format!("no connection to {name}:{port}")))?;
    stream.map_err(|error| match error {
        Unreached::Name(error) => {
            let detail = format!("the name {name} is not found ({error})");
            DownloadError::network(RetryCause::NameNotFound, detail)
        }
        Unreached::Tls(error) => unreachable(error.to_string()),
        Unreached::Connection(error) if error.kind() == ErrorKind::ConnectionRefused => {
            unreachable(format!("connection refused by {name}:{port}"))
        }
        Unreached::Connection(error) => {
            unreachable(format!("no connection to {name}:{port} ({error})"))
        }
    })
}

/// The server does not give it.
fn refused(address: &Address, status: u16, response: &Response) -> DownloadError {
    let after = match status {
        TOO_MANY_REQUESTS | UNAVAILABLE => response.retry_after_s,
        _ => None,
    };
    DownloadError {
        after: after.map(Duration::from_secs),
        ..DownloadError::network(
            RetryCause::Http(status),
            format!("HTTP {status} from {address}"),
        )
    }
}

/// The signed content is not encoded: an answer that is encoded is refused.
fn not_encoded(
    address: &Address,
    response: Response,
) -> Result<(Address, Response), DownloadError> {
    let Some(encoding) = &response.content_encoding else {
        return Ok((address.clone(), response));
    };
    Err(DownloadError::network(
        RetryCause::Failed(Reason::DownloadFailed),
        format!(
            "{address} answers with Content-Encoding {}, and identity was asked for: turn compression off there",
            shown(encoding)
        ),
    ))
}

/// Only the same host: elsewhere may be a portal that answers everything (bad-inputs row 48). Later
/// may help, when the portal is gone.
fn redirected(
    from: &Address,
    response: &Response,
    trust: &Trust,
) -> Result<Address, DownloadError> {
    let location = response.location.as_deref().unwrap_or_default();
    let why = match from.join(location) {
        Ok(to) if from.is_encrypted() && !to.is_encrypted() => {
            "to http refused: asked for by https, it comes by https".to_owned()
        }
        Ok(to) if to.is_encrypted() && trust.is_none() => {
            "to https refused: agent.toml pins no `ca` for it".to_owned()
        }
        Ok(to) if to.host() == from.host() => return Ok(to),
        Ok(to) => format!("to {} refused: another host", shown(to.host())),
        Err(UrlError::Https) => "to https refused: this agent was built without TLS".to_owned(),
        Err(UrlError::Password) => "refused: it holds a user name or password".to_owned(),
        Err(UrlError::Other) => "refused: it leads to no http address".to_owned(),
    };
    Err(DownloadError::network(
        RetryCause::Http(response.status),
        format!("redirect from {from} {why}"),
    ))
}

/// Text of a server, short and on one line.
fn shown(text: &str) -> String {
    let text: String = text.chars().take(SHOWN_CHARS).collect();
    text.escape_debug().to_string()
}
