//! The way of a message to sessions.

use std::pin::Pin;
use std::sync::Arc;

use rumqttc::QoS;
use tokio::sync::{Semaphore, mpsc};

use super::code::Code;
use super::inbox::{ToSession, end_soon};
use super::message::Message;

/// The rest of the way of a command or a report to the orchestrator: waiting for room.
pub(crate) type Way = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gives a command to the orchestrator as soon as it has room, and its sender a share left:
/// however many commands come, its session does not end, and nobody's command is far behind
/// those of another.
pub(crate) async fn command(
    inboxes: Vec<mpsc::Sender<ToSession>>,
    message: Message,
    share: Option<Arc<Semaphore>>,
) {
    let share = match share {
        Some(share) => share.acquire_owned().await.ok().map(Arc::new),
        None => None,
    };
    // It is acknowledged however its sender sent it: until then the share is taken.
    let qos = QoS::AtLeastOnce;
    let message = Message {
        share,
        qos,
        ..message
    };
    for inbox in inboxes {
        // Whoever sent it repeats it until it is answered.
        if let Ok(room) = inbox.reserve_owned().await {
            room.send(ToSession::Deliver(message.clone()));
        }
    }
}

/// Gives a report to the orchestrator as soon as it has room: its device waits with it.
pub(crate) async fn report(readers: Vec<mpsc::Sender<Message>>, message: Message) {
    // It is acknowledged however its sender sent it: an earlier one may wait for that.
    let qos = QoS::AtLeastOnce;
    let message = Message { qos, ..message };
    for reader in readers {
        if let Ok(room) = reader.reserve_owned().await {
            room.send(message.clone());
        }
    }
}

/// Gives a message to sessions; whether a filter of theirs matches, they know themselves.
pub(crate) fn hand_over(inboxes: &[mpsc::Sender<ToSession>], message: &Message) {
    for inbox in inboxes {
        let given = inbox.try_send(ToSession::Deliver(message.clone()));
        if let Err(mpsc::error::TrySendError::Full(_)) = given {
            end_soon(inbox.clone(), Code::Overflow);
        }
    }
}
