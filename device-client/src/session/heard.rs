//! What the device is told, by whom it believes.

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{Generation, GroupId, ReleaseId};
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;

use super::proof::Proving;
use super::{Clock, Session, Task};
use crate::machine::{Event, Verdict};

/// The end of the year 9999: whoever steals a key can sign any number, and none is a time after it.
const LAST_MS: u64 = 253_402_300_799_999;

fn time_of(generation: Generation) -> u64 {
    generation.0.min(LAST_MS)
}

impl Session {
    /// The server does not know this device (any more): its own spec was cleared, or its login
    /// is refused because its token was revoked.
    pub fn removed(&mut self, clock: &mut impl Clock) {
        self.handle(Event::Removed, clock);
        self.identity.spec.clear();
    }

    /// The device's own spec arrived, signed by this key, as these bytes.
    pub fn device_spec(
        &mut self,
        spec: DeviceSpec,
        by: KeyId,
        received: &[u8],
        clock: &mut impl Clock,
    ) {
        if self.machine.wants_own_status() {
            self.unsubscribe(self.own_status_topic());
        }
        clock.signed(time_of(spec.generation));
        let generation = spec.generation;
        self.handle(Event::DeviceSpec(spec, by), clock);
        let own = self.machine.own_spec();
        // An older one may be brought back: the server has to hear that we know better.
        if own.is_some_and(|own| own.generation == generation) {
            self.identity.spec = received.to_vec();
            if let Some(link) = &mut self.link {
                link.announces = false;
            }
        }
    }

    /// The spec of a group arrived, signed by this key.
    pub fn group_spec(
        &mut self,
        group: &GroupId,
        spec: GroupSpec,
        by: KeyId,
        clock: &mut impl Clock,
    ) {
        if self.follows(group) {
            clock.signed(time_of(spec.generation));
            self.handle(Event::GroupSpec(spec, by), clock);
        }
    }

    /// A release's manifest arrived; the entry to check it for, if it is still wanted.
    #[must_use]
    pub fn manifest(&mut self, release: ReleaseId) -> Option<DeploymentSpec> {
        let link = self.link.as_mut()?;
        let entry = link.wanted.take_if(|entry| entry.release == release)?;
        self.unsubscribe(Topic::Release(release));
        self.machine.asks_for(&entry).then_some(entry)
    }

    /// The manifest that an entry names was checked: what is there already is proven first, and
    /// once.
    pub fn checked(&mut self, entry: &DeploymentSpec, verdict: Verdict, clock: &mut impl Clock) {
        let believed = verdict != Verdict::Already || entry.policy.overrides.reinstall;
        let event = match believed {
            true => Event::Manifest {
                deployment: entry.deployment,
                release: entry.release,
                verdict,
            },
            false => match self.proof.of(entry) {
                Proving::Begin => return self.begin_task(Task::Prove(entry.clone())),
                Proving::Wait => return,
                Proving::Known(event) => event,
            },
        };
        self.handle(event, clock);
    }

    /// It is proven whether a release is there already. When its manifest is asked for again,
    /// the arrival of that says so.
    pub fn proven(&mut self, verdict: Verdict, clock: &mut impl Clock) {
        let event = self.proof.ended(verdict);
        if let Some(event) = event.filter(|_| self.wanted().is_none()) {
            self.handle(event, clock);
        }
    }

    /// The device's own retained status arrived, verified: without a signature it tells no
    /// outcome. None = it cannot be read.
    pub fn own_status(&mut self, status: Option<DeviceStatus>, clock: &mut impl Clock) {
        if !self.machine.wants_own_status() {
            return;
        }
        self.unsubscribe(self.own_status_topic());
        if let Some(status) = status {
            self.handle(Event::OwnStatus(status), clock);
        }
    }
}
