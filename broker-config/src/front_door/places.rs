//! Who may come in while many are there: everybody first, then users, who must be able to end
//! what a fleet does, and at last only the orchestrator.

use std::sync::Arc;

use hoist_protocol::access::Principal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::code::Code;
use super::hub::{Hub, Owner};
use super::limits::Limits;

/// Places that only the orchestrator gets.
const OF_SERVICE: usize = 16;
/// Sessions that one user may have among the places that only users get.
const OF_ONE_USER: usize = 4;

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    of_users: usize,
}

/// Whom the place is for that a socket got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Everybody,
    Users,
    Service,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        let of_users = limits.operator_connections;
        let all = limits.connections + of_users + OF_SERVICE;
        Self {
            free: Arc::new(Semaphore::new(all)),
            of_users,
        }
    }

    /// Takes a place, if there is one.
    pub(super) fn take(&self) -> Option<(OwnedSemaphorePermit, For)> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let left = self.free.available_permits();
        let of = match left {
            left if left < OF_SERVICE => For::Service,
            left if left < OF_SERVICE + self.of_users => For::Users,
            _ => For::Everybody,
        };
        Some((place, of))
    }
}

impl For {
    /// Whether a client may stay on this place.
    ///
    /// # Errors
    /// [`Code::Busy`].
    pub(super) fn may_stay(self, principal: &Principal, hub: &Hub) -> Result<(), Code> {
        let most = match (self, principal) {
            (_, Principal::Service) | (Self::Everybody, Principal::Device(_)) => return Ok(()),
            (Self::Everybody, Principal::User { .. }) => hub.limits.user_connections,
            (Self::Users, Principal::User { .. }) => OF_ONE_USER,
            _ => return Err(Code::Busy),
        };
        match hub.count_of(&Owner::of(principal)) < most {
            true => Ok(()),
            false => Err(Code::Busy),
        }
    }
}

/// A socket with its place under the connection cap.
pub(super) struct Placed<S> {
    pub(super) stream: S,
    pub(super) _place: OwnedSemaphorePermit,
}

impl<S: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Placed<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for Placed<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
