//! HTTP: artifacts for devices, uploads for operators, health for supervisors, and the
//! command table as a third door. It decides nothing.

mod artifact;
mod backup;
mod command;
mod events;
mod listener;
mod metrics;
mod refusal;
mod sites;
#[cfg(test)]
mod tests;
mod timed;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hoist_net::tls::server::Acceptor;
use hoist_orchestrator_core::model::row::Deed;
use hoist_protocol::code::Code;
use hoist_protocol::id::{UserId, sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::artifacts::ArtifactDirectory;
use crate::config::Rights;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::store::sled::SledStore;

pub use backup::Scratch;
pub use events::EventReaders;
pub use listener::{HttpLimits, Peer};
use refusal::{Text, refusal, too_slow};
pub use sites::Hosts;

/// The owners of bearer tokens.
pub trait TokenAuth: Send + Sync {
    /// The user of the token with this SHA-256, and what it may do.
    fn user_with(&self, token_sha256: &[u8; 32]) -> Option<(UserId, Rights)>;

    /// The user of a token, and what it may do.
    fn user_of(&self, token: &str) -> Option<(UserId, Rights)> {
        self.user_with(&sha256(token.as_bytes()))
    }
}

/// Commands that came by HTTP, on their way into the loop.
#[async_trait]
pub trait CommandDoor: Send + Sync {
    /// Carries out a command of a user at this address, and returns its reply's JSON; `None` when
    /// the server is stopping.
    async fn command(
        &self,
        from: (UserId, IpAddr),
        request: String,
        verb: String,
        body: Vec<u8>,
    ) -> Option<Vec<u8>>;

    /// Tells the audit trail of something that is done by HTTP; false when it cannot be told.
    async fn note(&self, deed: Deed) -> bool;
}

/// The state that the handlers share.
#[derive(Clone)]
pub struct HttpState {
    /// Artifacts.
    pub artifacts: ArtifactDirectory,
    /// Tokens.
    pub bearers: Arc<dyn TokenAuth>,
    /// The way into the loop.
    pub commands: Arc<dyn CommandDoor>,
    /// The store whose rows are backed up.
    pub store: SledStore,
    /// Where its rows lie while they are sent.
    pub scratch: Scratch,
    /// True once the server is ready.
    pub ready: watch::Receiver<bool>,
    /// Why it is not.
    pub health: Health,
    /// What is counted.
    pub metrics: Metrics,
    /// Those who follow events.
    pub events: EventReaders,
    /// The number of connections, and the longest times of a request.
    pub limits: HttpLimits,
    /// The hosts that it goes by.
    pub hosts: Hosts,
    /// The pages for people.
    pub page: Router,
    /// Speaks TLS with everybody who comes in; without it nothing is encrypted.
    pub tls: Option<Acceptor>,
}

/// Serves until `shutdown`, then lets running requests end.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (limits, tls, hosts) = (state.limits, state.tls.clone(), state.hosts.clone());
    let page = state.page.clone();
    let router = Router::new()
        .route("/artifacts/{id}", get(artifact::get).put(artifact::put))
        .route("/api/v1/events", get(events::get))
        .route("/api/v1/{verb}", post(command::post))
        .route("/backup/rows", get(backup::rows))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::get))
        .fallback(|| async {
            refusal(
                StatusCode::NOT_FOUND,
                Code::Path,
                "there is nothing here",
                "",
            )
        })
        .method_not_allowed_fallback(|| async {
            let title = "this path takes another method";
            refusal(StatusCode::METHOD_NOT_ALLOWED, Code::Path, title, "")
        })
        .layer(map_response(refusal::as_json))
        .with_state(state)
        .merge(page)
        .layer(from_fn_with_state(hosts, sites::refuse_others));
    listener::serve((listener, tls), router, limits, shutdown).await;
}

async fn readyz(State(state): State<HttpState>) -> Response {
    if *state.ready.borrow() {
        "ready\n".into_response()
    } else {
        let why = match state.health.stopped_by() {
            Some(problem) => format!("{}: {}\n", problem.code.as_str(), problem.detail),
            None => "starting\n".to_owned(),
        };
        let mut answer = (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        answer.extensions_mut().insert(Text);
        answer
    }
}

/// The user behind a request's bearer token.
fn authenticate(state: &HttpState, headers: &HeaderMap) -> Result<(UserId, Rights), Box<Response>> {
    let token = single(headers, &header::AUTHORIZATION, Code::Auth)?
        .and_then(|value| value.to_str().ok())
        .and_then(bearer);
    token
        .and_then(|token| state.bearers.user_of(token))
        .ok_or_else(|| {
            Box::new(refusal(
                StatusCode::UNAUTHORIZED,
                Code::Auth,
                "a valid token is required",
                "send `Authorization: Bearer <token>` with the token of client.toml",
            ))
        })
}

/// The token of credentials whose scheme, in upper or lower case, is the bearer's (RFC 7235).
fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a header, which is there once: of two, a proxy may have judged the other one.
fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    code: Code,
) -> Result<Option<&'h HeaderValue>, Box<Response>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_none() {
        return Ok(value);
    }
    let title = format!("the header {name} is there more than once");
    let hint = "send it once";
    Err(Box::new(refusal(
        StatusCode::BAD_REQUEST,
        code,
        &title,
        hint,
    )))
}
