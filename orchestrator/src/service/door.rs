//! The way into the loop for commands by HTTP.

use std::net::IpAddr;

use async_trait::async_trait;
use hoist_orchestrator_core::api::command::{Verb, VerbEffect};
use hoist_orchestrator_core::engine::arrival::{Arrival, Asked, Content};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::row::Deed;
use hoist_protocol::id::{RequestId, UserId};
use tokio::sync::{mpsc, oneshot};

use super::{Service, ServiceError, replies};
use crate::http::CommandDoor;

/// A command that came by HTTP.
pub(super) struct Knock {
    pub(super) user: UserId,
    pub(super) from: IpAddr,
    pub(super) request: RequestId,
    pub(super) verb: String,
    pub(super) body: Vec<u8>,
    pub(super) answer_to: oneshot::Sender<Vec<u8>>,
}

/// Something that the audit trail is to tell of.
pub(super) struct Note {
    pub(super) deed: Deed,
    /// Told once it is durable.
    pub(super) noted: oneshot::Sender<()>,
}

/// Commands of one kind waiting for the loop.
const WAITING_MAX: usize = 64;

/// The way into the loop for commands by HTTP: what changes something does not wait behind
/// what only reads.
#[derive(Clone)]
pub struct Door {
    changes: mpsc::Sender<Knock>,
    reads: mpsc::Sender<Knock>,
    notes: mpsc::Sender<Note>,
}

/// The other side of a [`Door`].
pub(super) struct Knocks {
    pub(super) changes: mpsc::Receiver<Knock>,
    pub(super) reads: mpsc::Receiver<Knock>,
    pub(super) notes: mpsc::Receiver<Note>,
}

/// A door and its other side.
pub(super) fn door() -> (Door, Knocks) {
    let (changes, changing) = mpsc::channel(WAITING_MAX);
    let (reads, reading) = mpsc::channel(WAITING_MAX);
    let (notes, noting) = mpsc::channel(WAITING_MAX);
    let knocks = Knocks {
        changes: changing,
        reads: reading,
        notes: noting,
    };
    let door = Door {
        changes,
        reads,
        notes,
    };
    (door, knocks)
}

#[async_trait]
impl CommandDoor for Door {
    async fn command(
        &self,
        (user, from): (UserId, IpAddr),
        request: String,
        verb: String,
        body: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let request = match request.parse() {
            Ok(request) => request,
            Err(error) => return Some(replies::bad_request(&request, &error)),
        };
        let changes = verb
            .parse()
            .is_ok_and(|verb: Verb| verb.effect() == VerbEffect::Changes);
        let (answer_to, answer) = oneshot::channel();
        let knock = Knock {
            user,
            from,
            request,
            verb,
            body,
            answer_to,
        };
        if changes {
            self.changes.send(knock).await.ok()?;
            return answer.await.ok();
        }
        match self.reads.try_send(knock) {
            Ok(()) => answer.await.ok(),
            Err(mpsc::error::TrySendError::Full(knock)) => {
                let why = format!("{WAITING_MAX} queries wait at this door");
                let busy = Rejection::new(Code::Busy, why).hint("ask again in 1 s");
                Some(replies::refused(&knock.request, busy))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    async fn note(&self, deed: Deed) -> bool {
        let (noted, is_noted) = oneshot::channel();
        let note = Note { deed, noted };
        self.notes.send(note).await.is_ok() && is_noted.await.is_ok()
    }
}

impl Service {
    /// Tells the audit trail of what somebody did by HTTP.
    pub(super) async fn take_note(
        &mut self,
        Note { deed, noted }: Note,
    ) -> Result<(), ServiceError> {
        let now = self.clock.now();
        if self.note(Some(Input::Noted(Box::new(deed))), now).await? {
            // Whoever has gone meanwhile need not know.
            let _ = noted.send(());
        }
        Ok(())
    }

    /// Commands by HTTP, decided together.
    pub(super) async fn knocks(&mut self, knocks: Vec<Knock>) -> Result<(), ServiceError> {
        let mut arrivals = Vec::with_capacity(knocks.len());
        for knock in knocks {
            let mut asked = Asked::new(knock.user, knock.request, &knock.verb, &knock.body);
            asked.from = knock.from.to_string();
            let mut arrival = Arrival::of(Content::Command(Box::new(asked)));
            arrival.answer_to = Some(self.waiters.enter(knock.answer_to));
            arrivals.push(arrival);
        }
        self.decide(arrivals).await
    }
}
