//! Beginning and ending sessions with the broker.

use std::time::Duration;

use hoist_protocol::codec::encode;
use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::mqtt::Session;
use super::runner::Agent;
use crate::machine::{Ended, Event};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

impl Agent {
    pub(super) fn connect(&mut self) {
        let Some(server) = self.server.clone() else {
            return;
        };
        let (counter, actions) = self.machine.begin_session();
        self.act(actions);
        if !self.todo.is_empty() {
            // The number is not durable: another session, with another, once it is.
            return;
        }
        self.counter = counter;
        let topic = self
            .topics
            .format(&Topic::Presence(self.host.device.clone()));
        let will = Presence {
            state: PresenceState::Offline,
            session: counter,
        };
        let device = &self.host.device;
        self.session = Some(Session::connect(device, &server, topic, encode(&will)));
    }

    /// The connection is gone: nothing of it is used again, and a new one comes later.
    pub(super) fn disconnected(&mut self, reason: &str) {
        let ended = if self.connected {
            let lived = self.connected_at.elapsed();
            Ended::After(u64::try_from(lived.as_millis()).unwrap_or(u64::MAX))
        } else {
            Ended::Unmade
        };
        // What may not have arrived, or came before anybody knew this device, is said again.
        let pinned = self.machine.own_head().and_then(|head| head.public_key);
        let unnamed = pinned != Some(self.key.public());
        if unnamed || self.session.as_ref().is_some_and(Session::owes_info) {
            self.info = None;
        }
        self.session = None;
        self.connected = false;
        self.group = None;
        self.wanted = None;
        self.announce_at = None;
        self.waiting_status = None;
        self.status_in_flight = false;
        let random = self.now().random;
        let wait = Duration::from_millis(self.reconnects.wait_ms(ended, random));
        tracing::warn!(reason, retry_ms = wait.as_millis(), "not connected");
        self.connect_at = Instant::now() + wait;
        self.handle(Event::Disconnected);
    }

    pub(super) async fn say_goodbye(&mut self) {
        if self.connected {
            self.publish_presence(PresenceState::Offline);
            if let Some(session) = self.session.take() {
                // Without an answer the will says the same.
                let _late = tokio::time::timeout(GOODBYE, session.close()).await;
            }
        }
    }
}
