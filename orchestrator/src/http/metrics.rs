//! `GET /metrics` for Prometheus: viewers, and whoever asks on this machine. Who came through a
//! proxy says so, and is not on this machine.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::code::Code;

use super::listener::Peer;
use super::{HttpState, authenticate, refusal};
use crate::metrics::Fleet;
use crate::rows::ReadError;
use crate::space;

/// The time for which a text is given again: a flood of requests reads the store once a second.
const FRESH: Duration = Duration::from_secs(1);
/// The format of the text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The headers by which a proxy says whom it speaks for.
const BY_PROXY: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// Gives the text of all metrics.
pub(super) async fn get(
    State(state): State<HttpState>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if !is_here(from, &headers)
        && let Err(refused) = authenticate(&state, &headers)
    {
        return *refused;
    }
    let mut last = state.metrics.last().await;
    let fresh = last.take().filter(|(at, _)| at.elapsed() < FRESH);
    let text = match fresh {
        Some(fresh) => Ok(fresh),
        None => text(&state).await.map(|text| (Instant::now(), text)),
    };
    match text {
        Ok((at, text)) => {
            let answer = ([(header::CONTENT_TYPE, TEXT)], text.clone()).into_response();
            *last = Some((at, text));
            answer
        }
        Err(error) => {
            tracing::warn!(%error, "the metrics cannot be read");
            let title = "the counters of the fleet cannot be read now";
            let hint = "see the server's log";
            refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Storage, title, hint)
        }
    }
}

/// True for whoever asks on this machine without a proxy.
fn is_here(from: IpAddr, headers: &HeaderMap) -> bool {
    from.is_loopback() && !BY_PROXY.iter().any(|name| headers.contains_key(*name))
}

async fn text(state: &HttpState) -> Result<String, ReadError> {
    let mut fleet = Fleet::read(&state.store).await?;
    let problems = state.health.problems();
    fleet.problems = problems.iter().map(|it| it.code.as_str()).collect();
    fleet.ready = *state.ready.borrow();
    fleet.disk_free = space::left(state.scratch.folder()).ok();
    fleet.backup_s = state.scratch.fetched().map(seconds);
    // A string takes whatever is written to it.
    Ok(state.metrics.text(&fleet).unwrap_or_default())
}

fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
