//! The way into the loop for commands by HTTP.

use async_trait::async_trait;
use hoist_protocol::id::{RequestId, UserId};
use tokio::sync::{mpsc, oneshot};

use super::replies;
use crate::http::CommandDoor;

/// A command that came by HTTP.
pub(super) struct Knock {
    pub(super) user: UserId,
    pub(super) request: RequestId,
    pub(super) verb: String,
    pub(super) body: Vec<u8>,
    pub(super) answer_to: oneshot::Sender<Vec<u8>>,
}

/// The way into the loop for commands by HTTP.
#[derive(Clone)]
pub struct Door {
    pub(super) knocks: mpsc::Sender<Knock>,
}

#[async_trait]
impl CommandDoor for Door {
    async fn command(
        &self,
        user: UserId,
        request: String,
        verb: String,
        body: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let request = match request.parse() {
            Ok(request) => request,
            Err(error) => return Some(replies::bad_request(&request, &error)),
        };
        let (answer_to, answer) = oneshot::channel();
        let knock = Knock {
            user,
            request,
            verb,
            body,
            answer_to,
        };
        self.knocks.send(knock).await.ok()?;
        answer.await.ok()
    }
}
