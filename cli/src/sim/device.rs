//! One simulated device: the real machine, with a model in the place of files, downloads
//! and scripts. It says what is to be sent; the session sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hoist_device_client::machine::{BootId, Event, InfoExtent, Machine, Setup, Verdict};
use hoist_device_client::record::Ring;
use hoist_protocol::codec::encode;
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, PrivateKey, open};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, DeviceId, ReleaseId, Seq, SessionCounter, sha256};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::Fleet;
use super::model::Luck;
use crate::client::mqtt::Message;

/// A packet to be sent on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Send {
    Publish(Message),
    Subscribe(String),
    Unsubscribe(String),
}

/// The message that an acknowledgment is for.
pub(super) enum Sent {
    /// A status with this number that accounted for so many outcomes.
    Status {
        seq: Seq,
        ended: u32,
    },
    /// A DeviceInfo with the stored head.
    FullInfo,
    Other,
}

/// A modelled download or script, and what it will end in.
pub(super) struct Doing {
    pub(super) until: Instant,
    pub(super) end: Event,
}

/// Where what a device knows of itself comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nothing yet: its own retained status may tell where an earlier run ended (W5).
    Fresh,
    /// This run.
    Own,
}

/// One device.
pub(super) struct Device {
    pub(super) fleet: Arc<Fleet>,
    pub(super) id: DeviceId,
    pub(super) key: PrivateKey,
    pub(super) machine: Machine,
    pub(super) luck: Luck,
    session: u64,
    pub(super) knowledge: Knowledge,
    /// Outcomes that the truth knows of, counted like the ring's.
    pub(super) told_ended: u32,
    pub(super) arrived_head: Vec<u8>,
    pub(super) stored_head: Option<Vec<u8>>,
    pub(super) group: Option<String>,
    pub(super) wanted: Option<(DeploymentId, ReleaseId)>,
    pub(super) release: Option<ReleaseManifest>,
    pub(super) installed: Vec<ReleaseManifest>,
    pub(super) last_info: Option<DeviceInfo>,
    pub(super) doing: Option<Doing>,
    pub(super) unacknowledged: VecDeque<Sent>,
    pub(super) waiting: Option<DeviceStatus>,
    pub(super) out: Vec<Send>,
}

impl Device {
    /// The device whose identity follows from its token, so that a fleet that is started
    /// again is the same fleet.
    pub(super) fn new(fleet: Arc<Fleet>, id: DeviceId, token: &str, member: u64) -> Self {
        let machine = Machine::new(Setup {
            device: id.clone(),
            boot: BootId([0; 8]),
            record: None,
            ring: Ring::default(),
            lost: false,
            device_head: None,
            forgotten: None,
            kept_release: None,
        });
        let mut device = Self {
            luck: Luck::new(fleet.trouble, member),
            key: PrivateKey::from_seed(&sha256(format!("hoist-sim {token}").as_bytes())),
            // Higher than in any run before: sessions are counted up (W8).
            session: unix_ms(),
            knowledge: Knowledge::Fresh,
            told_ended: 0,
            arrived_head: Vec::new(),
            stored_head: None,
            group: None,
            wanted: None,
            release: None,
            installed: Vec::new(),
            last_info: None,
            doing: None,
            unacknowledged: VecDeque::new(),
            waiting: None,
            out: Vec::new(),
            fleet,
            id,
            machine,
        };
        device.tell(Event::Started);
        device
    }

    /// Its id.
    pub(super) fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Its luck.
    pub(super) fn luck(&mut self) -> &mut Luck {
        &mut self.luck
    }

    /// The packets to be sent now.
    pub(super) fn take_sends(&mut self) -> Vec<Send> {
        std::mem::take(&mut self.out)
    }

    /// When something happens by itself.
    pub(super) fn wake(&self) -> Option<Instant> {
        let doing = self.doing.as_ref().map(|doing| doing.until);
        let timer = self
            .machine
            .next_timeout()
            .map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(unix_ms())));
        [doing, timer].into_iter().flatten().min()
    }

    /// The time of [`Device::wake`] has come.
    pub(super) fn woken(&mut self) {
        if let Some(doing) = self.doing.take_if(|doing| doing.until <= Instant::now()) {
            self.tell(doing.end);
        }
        if self
            .machine
            .next_timeout()
            .is_some_and(|at| at <= unix_ms())
        {
            self.tell(Event::Timer);
        }
    }

    /// The last will of the next session.
    pub(super) fn will(&mut self) -> Message {
        self.session += 1;
        self.presence(PresenceState::Offline)
    }

    /// The presence of a clean goodbye (W8).
    pub(super) fn goodbye(&self) -> Message {
        self.presence(PresenceState::Offline)
    }

    fn presence(&self, state: PresenceState) -> Message {
        let presence = Presence {
            state,
            session: SessionCounter(self.session),
        };
        self.retained(&Topic::Presence(self.id.clone()), encode(&presence))
    }

    /// A new session: birth, then the own head (W4).
    pub(super) fn connected(&mut self) {
        self.unacknowledged.clear();
        self.waiting = None;
        self.group = None;
        let birth = self.presence(PresenceState::Online);
        self.publish(birth, Sent::Other);
        self.tell(Event::Connected);
        if self.knowledge == Knowledge::Fresh {
            self.subscribe(&Topic::Status(self.id.clone()));
        }
        self.subscribe(&Topic::DeviceHead(self.id.clone()));
        if let Some((_, release)) = self.wanted {
            self.subscribe(&Topic::Release(release));
        }
    }

    /// The session is over.
    pub(super) fn disconnected(&mut self) {
        self.tell(Event::Disconnected);
        self.out.clear();
    }

    /// No head came in this session: says what it has, and waits on (W4).
    pub(super) fn announce(&mut self) {
        self.publish_info(InfoExtent::Full);
    }

    /// The broker acknowledged the oldest publish.
    pub(super) fn acknowledged(&mut self) {
        match self.unacknowledged.pop_front() {
            Some(Sent::Status { seq, ended }) => {
                self.tell(Event::Acknowledged { seq, ended });
                if let Some(status) = self.waiting.take() {
                    self.publish_status(status);
                }
            }
            Some(Sent::FullInfo) => {
                let is_full = |sent: &Sent| matches!(sent, Sent::FullInfo);
                if !self.unacknowledged.iter().any(is_full) {
                    self.tell(Event::InfoAcknowledged);
                }
            }
            Some(Sent::Other) | None => {}
        }
    }

    /// A message arrived; true for the device's own head.
    pub(super) fn received(&mut self, topic: &str, payload: &[u8]) -> bool {
        match self.fleet.topics.parse(topic) {
            Ok(Topic::DeviceHead(id)) if id == self.id && payload.is_empty() => {
                self.tell(Event::Removed);
            }
            Ok(Topic::DeviceHead(id)) if id == self.id => {
                let keys = &self.fleet.trust.orchestrator;
                let Ok(head) = open::<DeviceHead>(keys, Kind::DeviceHead, topic, payload) else {
                    return false;
                };
                if std::mem::replace(&mut self.knowledge, Knowledge::Own) == Knowledge::Fresh {
                    let own = self.fleet.topics.format(&Topic::Status(self.id.clone()));
                    self.out.push(Send::Unsubscribe(own));
                }
                self.arrived_head = payload.to_vec();
                self.tell(Event::DeviceHead(head.message));
                return true;
            }
            Ok(Topic::GroupHead(_)) => {
                let keys = &self.fleet.trust.orchestrator;
                if let Ok(head) = open::<GroupHead>(keys, Kind::GroupHead, topic, payload) {
                    self.tell(Event::GroupHead(head.message));
                }
            }
            Ok(Topic::Release(release)) => {
                if let Some(wanted) = self.wanted.take_if(|wanted| wanted.1 == release) {
                    self.manifest(wanted, payload);
                }
            }
            Ok(Topic::Status(_)) if self.knowledge == Knowledge::Fresh => {
                if let Ok(received) = DeviceStatus::receive(payload) {
                    self.tell(Event::OwnStatus(received.status));
                }
            }
            _ => {}
        }
        false
    }

    fn manifest(&mut self, (deployment, release): (DeploymentId, ReleaseId), payload: &[u8]) {
        let keys = &self.fleet.trust.release;
        let opened = open::<ReleaseManifest>(keys, Kind::Release, "", payload);
        let verdict = match opened {
            Ok(opened) if ReleaseId::of(opened.body) == release => {
                let verdict = self.judge(&opened.message);
                self.release = Some(opened.message);
                verdict
            }
            _ => Verdict::refused(Reason::BadSignature),
        };
        let topic = self.fleet.topics.format(&Topic::Release(release));
        self.out.push(Send::Unsubscribe(topic));
        self.tell(Event::Manifest {
            deployment,
            release,
            verdict,
        });
    }

    /// The verdict that the checks of a real agent would give to a device without type or
    /// attributes.
    fn judge(&self, manifest: &ReleaseManifest) -> Verdict {
        if !manifest.device_types.is_empty() || !manifest.attributes.is_empty() {
            return Verdict::refused(Reason::Incompatible);
        }
        if self.installed.iter().any(|installed| installed == manifest) {
            return Verdict::Already;
        }
        let floor = self.floor();
        if manifest.counter < floor {
            return Verdict::refused(Reason::Downgrade);
        }
        Verdict::Fits
    }

    pub(super) fn floor(&self) -> u64 {
        self.installed
            .iter()
            .map(|installed| installed.floor)
            .max()
            .unwrap_or(0)
    }
}

pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
