//! One simulated device: the real session with its machine, and a model in the place of
//! files, downloads and scripts. It says what is to be sent; `session` sends it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hoist_device_client::machine::{BootId, Event, Setup, Verdict};
use hoist_device_client::record::{Memory, Record, Ring};
use hoist_device_client::session::{Carries, Identity, Root, Session};
use hoist_protocol::codec::{Message as Signed, encode};
use hoist_protocol::device::PresenceState;
use hoist_protocol::envelope::{Kind, OpenError, Opened, PrivateKey, PublicKey, open};
use hoist_protocol::id::{DeviceId, ReleaseId, Seq, sha256};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
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

/// A modelled download or script, and what it will end in.
pub(super) struct Doing {
    pub(super) until: Instant,
    pub(super) end: Event,
}

/// One device.
pub(super) struct Device {
    pub(super) fleet: Arc<Fleet>,
    pub(super) id: DeviceId,
    pub(super) key: PrivateKey,
    /// The newest root document that the device trusts.
    pub(super) root: RootDocument,
    pub(super) session: Session,
    pub(super) luck: Luck,
    /// Outcomes that the truth knows of, counted like the ring's.
    pub(super) told_ended: u32,
    pub(super) release: Option<ReleaseManifest>,
    pub(super) installed: Vec<ReleaseManifest>,
    pub(super) doing: Option<Doing>,
    pub(super) unacknowledged: VecDeque<Carries>,
    pub(super) out: Vec<Send>,
    /// True if another connection is wanted.
    pub(super) leaves: bool,
}

impl Device {
    /// The device whose identity follows from its token, so that a fleet that is started
    /// again is the same fleet.
    pub(super) fn new(fleet: Arc<Fleet>, id: DeviceId, token: &str, member: u64) -> Self {
        let key = PrivateKey::from_seed(&sha256(format!("hoist-sim {token}").as_bytes()));
        let setup = Setup {
            device: id.clone(),
            boot: BootId([0; 8]),
            // Numbers higher than in any run before, of which nothing else is known (W5, W8).
            record: Some(Record {
                reserved: Seq(unix_ms()),
                memory: Memory::New,
                ..Record::default()
            }),
            ring: Ring::default(),
            lost: false,
            device_spec: None,
            forgotten: None,
            kept_release: None,
        };
        let identity = Identity {
            key: key.public(),
            spec: Vec::new(),
            root: Root::Known((&fleet.root).into()),
        };
        let mut device = Self {
            luck: Luck::new(fleet.trouble, member),
            key,
            root: fleet.root.clone(),
            session: Session::new(setup, identity),
            told_ended: 0,
            release: None,
            installed: Vec::new(),
            doing: None,
            unacknowledged: VecDeque::new(),
            out: Vec::new(),
            leaves: false,
            fleet,
            id,
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
            .session
            .machine()
            .next_timeout()
            .map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(unix_ms())));
        [doing, timer].into_iter().flatten().min()
    }

    /// The time of [`Device::wake`] has come.
    pub(super) fn woken(&mut self) {
        if let Some(doing) = self.doing.take_if(|doing| doing.until <= Instant::now()) {
            self.tell(doing.end);
        }
        let timeout = self.session.machine().next_timeout();
        if timeout.is_some_and(|at| at <= unix_ms()) {
            self.tell(Event::Timer);
        }
    }

    /// The last will of the next session.
    pub(super) fn will(&mut self) -> Message {
        self.session.begin();
        self.act();
        self.presence(PresenceState::Offline)
    }

    /// The presence of a clean goodbye (W8).
    pub(super) fn goodbye(&self) -> Message {
        self.presence(PresenceState::Offline)
    }

    fn presence(&self, state: PresenceState) -> Message {
        let presence = self.session.presence(state);
        self.retained(&Topic::Presence(self.id.clone()), encode(&presence))
    }

    /// A new session.
    pub(super) fn connected(&mut self) {
        self.unacknowledged.clear();
        self.leaves = false;
        self.session.connected(&mut self.luck);
        self.act();
    }

    /// The session is over.
    pub(super) fn disconnected(&mut self) {
        self.session.disconnected(&mut self.luck);
        self.act();
        self.out.clear();
    }

    /// The broker refuses the device's token.
    pub(super) fn refused(&mut self) {
        self.session.removed(&mut self.luck);
        self.act();
    }

    /// No spec came in this session: says what it has, and waits on (W4).
    pub(super) fn announce(&mut self) {
        self.session.announce();
        self.act();
    }

    /// The broker acknowledged the oldest publish.
    pub(super) fn acknowledged(&mut self) {
        if let Some(carries) = self.unacknowledged.pop_front() {
            self.session.acknowledged(carries, &mut self.luck);
            self.act();
        }
    }

    /// A message arrived.
    pub(super) fn received(&mut self, topic: &str, payload: &[u8]) {
        match self.fleet.topics.parse(topic) {
            Ok(Topic::Root(_)) => self.next_root(payload),
            Ok(Topic::DeviceSpec(id)) if id == self.id && payload.is_empty() => {
                self.session.removed(&mut self.luck);
            }
            Ok(Topic::DeviceSpec(id)) if id == self.id => {
                if let Some(spec) = self.opened::<DeviceSpec>(Kind::DeviceSpec, topic, payload) {
                    let (spec, by) = (spec.message, spec.key);
                    self.session.device_spec(spec, by, payload, &mut self.luck);
                }
            }
            Ok(Topic::GroupSpec(group)) => {
                if let Some(spec) = self.opened::<GroupSpec>(Kind::GroupSpec, topic, payload) {
                    let (spec, by) = (spec.message, spec.key);
                    self.session.group_spec(&group, spec, by, &mut self.luck);
                }
            }
            Ok(Topic::Release(release)) => self.manifest(release, payload),
            Ok(Topic::Status(_)) => {
                let received = DeviceStatus::receive(payload).ok();
                let status = received.map(|received| received.status);
                self.session.own_status(status, &mut self.luck);
                // An earlier run has told of these.
                self.told_ended = self.session.machine().ring().ended;
            }
            _ => {}
        }
        self.act();
    }

    /// The newest root document follows the one before it, whatever brought it.
    fn next_root(&mut self, payload: &[u8]) {
        if let Ok(next) = self.root.open_next(payload, unix_ms() / 1_000) {
            self.session.trusts((&next).into(), &mut self.luck);
            self.root = next;
        }
    }

    /// A spec, if a trusted key has signed it.
    fn opened<'a, M: Signed>(
        &mut self,
        kind: Kind,
        topic: &str,
        payload: &'a [u8],
    ) -> Option<Opened<'a, M>> {
        let keys: Vec<PublicKey> = self.root.keys_of(KeyRole::Orchestrator).collect();
        let opened = open::<M>(&keys, kind, topic, payload);
        if matches!(opened, Err(OpenError::UnknownKey { .. })) {
            self.session.signed_by_unknown();
        }
        opened.ok()
    }

    fn manifest(&mut self, release: ReleaseId, payload: &[u8]) {
        let Some(entry) = self.session.manifest(release) else {
            return;
        };
        let keys: Vec<PublicKey> = self.root.keys_of(KeyRole::Release).collect();
        let opened = open::<ReleaseManifest>(&keys, Kind::Release, "", payload);
        if matches!(opened, Err(OpenError::UnknownKey { .. })) && self.session.asks_again(&entry) {
            return;
        }
        let verdict = match opened {
            Ok(opened) if ReleaseId::of(opened.body) == release => {
                let verdict = self.judge(&opened.message);
                self.release = Some(opened.message);
                verdict
            }
            _ => Verdict::refused(Reason::BadSignature),
        };
        self.session.checked(&entry, verdict, &mut self.luck);
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
