//! Acknowledgments that a client is owed: they go out in the order in which its messages came
//! (MQTT 3.1.1, 4.6), and that of a report not before the orchestrator has acknowledged it.

use std::collections::VecDeque;
use std::sync::Arc;

use rumqttc::mqttbytes::v4::{Packet, PubAck};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::code::Code;
use super::super::reports::{Fate, Receipt};
use super::{Closed, Session};

/// The packets that are not acknowledged yet, oldest first.
#[derive(Default)]
pub(super) struct Owed {
    waiting: VecDeque<(u16, Option<Arc<Receipt>>)>,
    /// Woken when one of them may be due.
    pub(super) wake: Arc<Notify>,
}

impl Owed {
    /// Takes a packet, with what it waits for.
    pub(super) fn push(&mut self, id: u16, receipt: Option<Arc<Receipt>>) {
        self.waiting.push_back((id, receipt));
    }

    /// Forgets what is owed: its client is gone.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The next packet that is to be acknowledged now.
    fn next_due(&mut self) -> Result<Option<u16>, Code> {
        let Some((id, receipt)) = self.waiting.front() else {
            return Ok(None);
        };
        let fate = receipt.as_ref().map_or(Fate::Committed, |held| held.fate());
        match fate {
            Fate::Open => Ok(None),
            Fate::Lost => Err(Code::Unheard),
            Fate::Committed => {
                let id = *id;
                self.waiting.pop_front();
                Ok(Some(id))
            }
        }
    }
}

impl Session {
    /// Acknowledges whatever is due, and reads on if there is room again.
    pub(super) fn acknowledge_due(&mut self) -> Result<(), Closed> {
        while let Some(id) = self.owed.next_due()? {
            self.write(&Packet::PubAck(PubAck::new(id)));
        }
        self.hold_back();
        Ok(())
    }

    /// Reads no further of a client while one of its messages waits for room, or too many for
    /// their acknowledgment.
    pub(super) fn hold_back(&mut self) {
        let holds = self.parked.is_some() || self.owed.waiting.len() >= self.hub.limits.unheard;
        let Some(socket) = &mut self.socket else {
            return;
        };
        let held = socket.attach.connection.park(holds);
        if held && !holds {
            socket.deadline = Instant::now() + socket.attach.keep_alive;
        }
    }
}
