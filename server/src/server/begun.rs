//! A server between its beginning and the moment it is ready.

use std::pin::Pin;

use hoist_orchestrator::service::ServiceError;
use hoist_protocol::code::Code;
use tokio::sync::watch;

use super::Server;
use crate::failure::Failure;

/// A server whose parts do not run yet.
pub(super) struct Begun {
    pub(super) server: Server,
    pub(super) orchestrator: Part,
    pub(super) http: Part,
    pub(super) is_ready: watch::Receiver<bool>,
}

/// A part of a server, which says why it ended.
pub(super) type Part = Pin<Box<dyn Future<Output = Failure> + Send>>;

impl Begun {
    /// Lets orchestrator and HTTP run, until everything is ready. It is not dropped before they
    /// have ended: what they write would be cut off by the end of the program.
    pub(super) async fn go_on(self, end: impl Future<Output = ()>) -> Result<Server, Failure> {
        let mut server = self.server;
        server.parts.spawn(self.orchestrator);
        server.parts.spawn(self.http);
        let ready = tokio::select! {
            ready = server.become_ready(self.is_ready) => ready,
            () = end => Err(given_up()),
        };
        match ready {
            Ok(()) => Ok(server),
            Err(failure) => {
                server.stop().await;
                Err(failure)
            }
        }
    }
}

/// Why there is no server.
pub(super) fn given_up() -> Failure {
    Failure::new(Code::Canceled, "the start was ended before it was over")
}

/// Why a part ended that never ends by itself.
fn ended<E: std::error::Error>(part: &str, result: Result<(), E>) -> Failure {
    match result {
        Ok(()) => Failure::new(Code::Server, format!("{part} ended")),
        Err(error) => Failure::because(Code::Server, format!("{part} ended"), &error),
    }
}

/// Why the orchestrator ended.
pub(super) fn orchestrator_ended(result: Result<(), ServiceError>) -> Failure {
    match &result {
        Err(error @ ServiceError::Older(_)) => Failure::because(
            Code::Recover,
            "the server does not go on",
            error,
        )
        .help(
            "`hoist recover` lets this store learn what it does not know, `hoist restore` brings a \
                 newer one back; if another server uses copies of these keys, stop it first; if somebody \
                 has stolen them, `hoist keys rotate orchestrator` and start again",
        ),
        _ => ended("the orchestrator", result),
    }
}
