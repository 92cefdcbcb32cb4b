//! The HTTP/1.1 exchange of a download: bounded range requests, redirects, time limits. A
//! server is believed nothing but where its bytes begin, and that only until their hash
//! is known.

use std::ops::Range;

use tokio::time::timeout;

use super::exchange::{Address, Response, get};
use super::{DownloadError, Limits};
use hoist_protocol::reason::Reason;

/// More are a loop (row 48).
const REDIRECTS_MAX: usize = 5;
const OK: u16 = 200;
const PARTIAL: u16 = 206;
const RANGE_NOT_SATISFIABLE: u16 = 416;

/// An answer whose body is being read.
pub(super) struct Answer {
    address: Address,
    response: Response,
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
        let (address, response) = follow(url, limits, &range).await?;
        let (begins, file_bytes) = match response.status {
            PARTIAL => content_range(&response, &range)?,
            _ => (0, response.length),
        };
        Ok(Self {
            address,
            response,
            limits,
            // What is proven is not needed twice.
            skip: range.start - begins,
            file_bytes,
        })
    }

    /// The next bytes of the range, or none at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, DownloadError> {
        let address = &self.address;
        loop {
            let data = timeout(self.limits.idle, self.response.next())
                .await
                .map_err(|_| DownloadError::network(format!("{address} sends nothing any more")))?
                .map_err(|error| DownloadError::network(format!("{address} broke off: {error}")))?;
            let Some(mut data) = data else {
                return Ok(None);
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
            let detail = format!("{} answers with something else: {error}", self.address);
            return DownloadError::network(detail);
        }
        error
    }
}

/// Where the answer begins, and the bytes of the whole file.
fn content_range(
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
        _ => Err(DownloadError::network(format!(
            "asked for bytes from {}, the answer is for {header:?}",
            asked.start
        ))),
    }
}

async fn follow(
    url: &str,
    limits: Limits,
    range: &Range<u64>,
) -> Result<(Address, Response), DownloadError> {
    let mut address = parse(url)?;
    for _ in 0..=REDIRECTS_MAX {
        let failed = |what: String| DownloadError::network(format!("{address} {what}"));
        let response = timeout(limits.answer, get(&address, range))
            .await
            .map_err(|_| failed("does not answer".into()))?
            .map_err(|error| failed(format!("cannot be reached: {error}")))?;
        match response.status {
            OK | PARTIAL => return Ok((address, response)),
            RANGE_NOT_SATISFIABLE => {
                return Err(DownloadError::length(range.start, range.end));
            }
            300..400 => address = redirected(&address, &response)?,
            status => return Err(failed(format!("answers {status}"))),
        }
    }
    Err(DownloadError::network(format!(
        "{url} redirects more than {REDIRECTS_MAX} times"
    )))
}

fn parse(url: &str) -> Result<Address, DownloadError> {
    let refuse = |detail| DownloadError::refused(Reason::DownloadFailed, detail);
    let scheme = url.split("://").next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") {
        return Err(refuse(format!(
            "{url} needs https, which this version does not speak: use http, every byte is proven by hash"
        )));
    }
    Address::parse(url).ok_or_else(|| refuse(format!("{url} is not an http address")))
}

/// Only the same host: elsewhere may be a portal that answers everything (row 48). Later
/// may help, when the portal is gone.
fn redirected(from: &Address, response: &Response) -> Result<Address, DownloadError> {
    let location = response.location.as_deref().unwrap_or_default();
    let to = match location.starts_with('/') && !location.starts_with("//") {
        true => format!("http://{}{location}", from.authority),
        false => location.to_owned(),
    };
    let same_host = |to: &Address| to.host() == from.host();
    Address::parse(&to).filter(same_host).ok_or_else(|| {
        DownloadError::network(format!(
            "{from} redirects to {to:?}, which is not http on the same host"
        ))
    })
}
