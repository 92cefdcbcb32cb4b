//! The connection: its topics, and when the device announces itself (W2, W4, W8).

use hoist_protocol::device::{Presence, PresenceState};
use hoist_protocol::id::{GroupId, SessionCounter};
use hoist_protocol::spec::DeploymentSpec;
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;
use serde::Serialize;

use super::{Clock, Output, Root, Session};
use crate::machine::Event;

/// What belongs to one connection, and ends with it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Link {
    /// The group whose spec is heard.
    pub(super) group: Option<GroupId>,
    /// The entry whose manifest is on its way.
    pub(super) wanted: Option<DeploymentSpec>,
    /// The newest status, while another one is on its way.
    pub(super) waiting: Option<DeviceStatus>,
    /// True if a status is on its way.
    pub(super) in_flight: bool,
    /// Reports of the device on itself that are on their way, and those of them with the stored
    /// DeviceSpec.
    pub(super) infos: u32,
    pub(super) full_infos: u32,
    /// True if the next root document was asked for again, because of a key that nobody names.
    pub(super) asked_root: bool,
    /// True if the device will still say that no spec of its own came.
    pub(super) announces: bool,
}

impl Session {
    /// The number of the next session, which is durable once everything that follows is done
    /// (W8); only then it may begin.
    pub fn begin(&mut self) {
        let (number, actions) = self.machine.begin_session();
        self.number = number;
        self.todo.extend(actions);
    }

    /// The number of the session.
    #[must_use]
    pub fn number(&self) -> SessionCounter {
        self.number
    }

    /// The presence in this session: its last will, and its goodbye.
    #[must_use]
    pub fn presence(&self, state: PresenceState) -> Presence {
        let session = self.number;
        Presence { state, session }
    }

    /// True if there is a connection.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.link.is_some()
    }

    /// A connection begins: who we are, then what we need before anything else (W4, W7).
    pub fn connected(&mut self, clock: &mut impl Clock) {
        self.link = Some(Link::default());
        let birth = self.presence(PresenceState::Online);
        self.out.push_back(Output::Presence(birth));
        self.subscribe(Topic::Root(self.wanted_root()));
        if matches!(self.identity.root, Root::Known(_)) {
            self.join(clock);
        }
    }

    pub(super) fn join(&mut self, clock: &mut impl Clock) {
        if self.machine.wants_own_status() {
            self.subscribe(self.own_status_topic());
        }
        self.subscribe(Topic::DeviceSpec(self.machine.device().clone()));
        if let Some(link) = &mut self.link {
            link.announces = true;
        }
        self.handle(Event::Connected, clock);
    }

    /// The connection is over, or could not be made: nothing of it is used again.
    pub fn disconnected(&mut self, clock: &mut impl Clock) {
        // What may not have arrived, or came before anybody knew this device, is said again.
        let owed = self.link.take().is_some_and(|link| link.infos > 0);
        if owed || self.key_to_tell().is_some() {
            self.info = None;
        }
        self.handle(Event::Disconnected, clock);
    }

    /// True if the spec of this group is heard.
    #[must_use]
    pub fn follows(&self, group: &GroupId) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| link.group.as_ref() == Some(group))
    }

    /// Subscribes to the one group, now and again (W2).
    pub(super) fn follow(&mut self, group: GroupId) {
        let Some(link) = &mut self.link else { return };
        if link.group.as_ref() != Some(&group) {
            self.leave_group();
        }
        if let Some(link) = &mut self.link {
            link.group = Some(group.clone());
        }
        self.subscribe(Topic::GroupSpec(group));
    }

    pub(super) fn leave_group(&mut self) {
        let left = self.link.as_mut().and_then(|link| link.group.take());
        if let Some(group) = left {
            self.unsubscribe(Topic::GroupSpec(group));
        }
    }

    pub(super) fn fetch_manifest(&mut self, entry: DeploymentSpec) {
        let Some(link) = &mut self.link else { return };
        let release = entry.release;
        let before = link.wanted.replace(entry);
        // A broker has room for few subscriptions of a device.
        if let Some(before) = before.filter(|before| before.release != release) {
            self.unsubscribe(Topic::Release(before.release));
        }
        self.subscribe(Topic::Release(release));
    }

    /// The entry whose manifest is on its way.
    #[must_use]
    pub fn wanted(&self) -> Option<&DeploymentSpec> {
        self.link.as_ref().and_then(|link| link.wanted.as_ref())
    }

    /// True if the device will still say that no spec of its own came in this connection.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.announces)
    }

    pub(super) fn own_status_topic(&self) -> Topic {
        Topic::Status(self.machine.device().clone())
    }

    pub(super) fn subscribe(&mut self, topic: Topic) {
        self.out.push_back(Output::Subscribe(topic));
    }

    pub(super) fn unsubscribe(&mut self, topic: Topic) {
        if self.link.is_some() {
            self.out.push_back(Output::Unsubscribe(topic));
        }
    }
}
