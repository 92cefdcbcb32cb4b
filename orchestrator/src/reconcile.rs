//! Makes the broker hold what the rows desire: the only code that publishes heads,
//! manifests and the root document. Level-triggered: whatever changed, was lost or was
//! overwritten, it compares what is desired with what is known to be out, and publishes
//! the difference. It never decides anything.

mod ledger;

use std::collections::BTreeMap;
use std::sync::Arc;

use hoist_orchestrator_core::desired;
use hoist_orchestrator_core::explain::{HeadsOut, Out};
use hoist_orchestrator_core::key::{DeviceKey, Prefix, ReleaseKey};
use hoist_orchestrator_core::reply::DeploymentState;
use hoist_orchestrator_core::row::{DeploymentRow, DeviceRow, GroupRow};
use hoist_orchestrator_core::txn::Txn;
use hoist_protocol::envelope::{Kind, PublicKey, open};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId, ReleaseId};
use hoist_protocol::topic::{Topic, Topics};

use crate::config::{Keys, OrchestratorConfig};
use crate::rows::{self, ReadError};
use crate::signer::Signer;
use crate::store::Store;
use crate::transport::{Connection, Delivery, Outgoing};
use ledger::{Ledger, Publish, Seen};

/// Why a subject is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// What is retained differs from what is known to be out.
    Seen,
    /// Its rows changed.
    Changed,
}

/// Publishes the difference between desired and out.
pub(crate) struct Reconciler {
    store: Arc<dyn Store>,
    signer: Signer,
    topics: Topics,
    keys: Keys,
    source: Option<String>,
    /// How long a head with notices is valid, in seconds (W2).
    validity_s: u32,
    ledger: Ledger,
    dirty: BTreeMap<Subject, Cause>,
    connection: Option<Arc<dyn Connection>>,
}

/// Something of which one message is retained, in the order in which changes go out: what
/// holds a device goes before what would let it start (S10).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The root document.
    Root,
    /// A release's manifest.
    Release(ReleaseId),
    /// A device's head.
    Device(DeviceId),
    /// A group's head.
    Group(GroupId),
}

/// Whether only the orchestrator writes this topic.
pub(crate) fn is_own(topic: &Topic) -> bool {
    matches!(
        topic,
        Topic::GroupHead(_) | Topic::DeviceHead(_) | Topic::Release(_) | Topic::Root(_)
    )
}

impl Reconciler {
    pub(crate) fn new(store: Arc<dyn Store>, topics: Topics, config: &OrchestratorConfig) -> Self {
        let keys = config.keys.clone();
        let validity_s = config.head_validity.as_secs();
        Self {
            store,
            signer: Signer::new(keys.orchestrator.clone(), topics.clone()),
            topics,
            keys,
            source: config.source.clone(),
            validity_s: u32::try_from(validity_s).unwrap_or(u32::MAX).max(1),
            ledger: Ledger::default(),
            dirty: BTreeMap::new(),
            connection: None,
        }
    }

    /// A new connection: the broker may have lost everything.
    pub(crate) fn connected(&mut self, connection: Arc<dyn Connection>) {
        self.connection = Some(connection);
        self.ledger.forget_broker(|_| true);
    }

    /// Everything can be seen now: root, manifests of active deployments and heads of
    /// groups go out again; heads of devices when something shows that they are needed.
    pub(crate) async fn subscribed(&mut self) -> Result<(), ReadError> {
        self.ledger
            .forget_broker(|subject| !matches!(subject, Subject::Device(_)));
        self.mark(Subject::Root, Cause::Changed);
        for (key, _) in rows::all::<GroupRow>(&*self.store, &Prefix::Groups).await? {
            let group = Prefix::Groups.rest(&key).and_then(|text| text.parse().ok());
            if let Some(group) = group {
                self.mark(Subject::Group(group), Cause::Changed);
            }
        }
        for (_, row) in rows::all::<DeploymentRow>(&*self.store, &Prefix::Deployments).await? {
            if row.state == DeploymentState::Active {
                self.mark(Subject::Release(row.release), Cause::Changed);
            }
        }
        Ok(())
    }

    /// The connection is gone; nothing can be published.
    pub(crate) fn disconnected(&mut self) {
        self.connection = None;
    }

    /// Rows of this subject changed.
    pub(crate) fn changed(&mut self, subject: Subject) {
        self.mark(subject, Cause::Changed);
    }

    /// A device connected: its head is published unless it is known to be out.
    pub(crate) fn born(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        if !self.ledger.is_out(&subject) {
            self.mark(subject, Cause::Seen);
        }
    }

    /// A device shows its key because it has no head that names it: whatever is thought
    /// to be out did not reach it.
    pub(crate) fn asked(&mut self, device: DeviceId) {
        let subject = Subject::Device(device);
        self.ledger.forget_broker(|other| *other == subject);
        self.mark(subject, Cause::Seen);
    }

    /// A message on one of our own topics. Returns the highest deployment named in a head
    /// that we signed, so that its number is never used again.
    pub(crate) fn seen(&mut self, topic: &Topic, delivery: &Delivery) -> Option<DeploymentId> {
        let (subject, signed, named) = match topic {
            Topic::GroupHead(group) => {
                let opened = self.open::<GroupHead>(Kind::GroupHead, delivery);
                let named = opened.iter().flat_map(|head| &head.notices);
                let named = named.map(|notice| notice.deployment).max();
                let signed = opened.map(|head| head.generation);
                (Subject::Group(group.clone()), signed, named)
            }
            Topic::DeviceHead(device) => {
                let opened = self.open::<DeviceHead>(Kind::DeviceHead, delivery);
                let signed = opened.map(|head| head.generation);
                (Subject::Device(device.clone()), signed, None)
            }
            Topic::Release(release) => (Subject::Release(*release), None, None),
            Topic::Root(number) if *number == self.keys.root_number => (Subject::Root, None, None),
            _ => return None,
        };
        match self.ledger.seen(&subject, &delivery.payload, signed) {
            Seen::AsDesired => {}
            Seen::Different => self.mark(subject, Cause::Seen),
        }
        named
    }

    /// Publishes what is due: everything marked since the last call.
    pub(crate) async fn flush(&mut self, now_ms: u64) -> Result<(), ReadError> {
        let Some(connection) = self.connection.clone() else {
            return Ok(());
        };
        while let Some((subject, cause)) = self.dirty.pop_first() {
            let messages = match self.due(&subject, cause, now_ms).await {
                Ok(messages) => messages,
                Err(error) => {
                    self.mark(subject, cause);
                    return Err(error);
                }
            };
            for message in messages {
                if connection.publish(message).await.is_err() {
                    self.mark(subject.clone(), cause);
                    self.connection = None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Looks again at what was sent long ago and never seen back, and signs again what is
    /// past half of its validity (W2).
    pub(crate) fn review(&mut self, now_ms: u64) {
        for subject in self.ledger.overdue(now_ms) {
            self.mark(subject, Cause::Seen);
        }
    }

    /// Whether the root document and every group head were seen back from the broker.
    pub(crate) fn is_quiet(&self) -> bool {
        let shared = |subject: &Subject| !matches!(subject, Subject::Device(_));
        !self.dirty.keys().any(shared) && self.ledger.all_held(shared)
    }

    /// What is known to be at the broker of what a device is to read.
    pub(crate) fn heads_out(&self, group: &GroupId, device: &DeviceId) -> HeadsOut {
        let out = |subject: &Subject, held: bool| match held && !self.dirty.contains_key(subject) {
            true => Out::Held,
            false => Out::OnItsWay,
        };
        let group = Subject::Group(group.clone());
        let device = Subject::Device(device.clone());
        HeadsOut {
            group: out(&group, self.ledger.is_held(&group)),
            // Not known to be out, it is published when the device connects.
            device: out(&device, !self.ledger.is_on_its_way(&device)),
        }
    }

    fn mark(&mut self, subject: Subject, cause: Cause) {
        let marked = self.dirty.entry(subject).or_insert(cause);
        *marked = cause.max(*marked);
    }

    /// The message of ours in a delivery, when our signature on it holds.
    fn open<M: hoist_protocol::codec::Message>(
        &self,
        kind: Kind,
        delivery: &Delivery,
    ) -> Option<M> {
        let ours: [PublicKey; 1] = [self.keys.orchestrator.public()];
        let opened = open::<M>(&ours, kind, &delivery.topic, &delivery.payload);
        opened.ok().map(|opened| opened.message)
    }

    /// What must be published for a subject, if anything.
    async fn due(
        &mut self,
        subject: &Subject,
        cause: Cause,
        now_ms: u64,
    ) -> Result<Vec<Outgoing>, ReadError> {
        let mut txn = Txn::default();
        let store = Arc::clone(&self.store);
        match subject {
            Subject::Root => {
                let topic = Topic::Root(self.keys.root_number);
                let payload = self.keys.root.clone();
                Ok(self.fixed(subject, &topic, payload, now_ms))
            }
            Subject::Release(id) => {
                let key = ReleaseKey(*id);
                let row = rows::resolve(&*store, &mut txn, |txn| txn.read(&key)).await?;
                Ok(match row {
                    Some(row) => self.fixed(subject, &Topic::Release(*id), row.sealed, now_ms),
                    None => {
                        self.ledger.forget(subject);
                        Vec::new()
                    }
                })
            }
            Subject::Group(group) => {
                let read = |txn: &mut Txn| desired::read_group(txn, group);
                let Some((row, deployments)) = rows::resolve(&*store, &mut txn, read).await? else {
                    return Ok(self.unknown(subject, &Topic::GroupHead(group.clone()), cause));
                };
                Ok(self.group(group, &row, &deployments, now_ms))
            }
            Subject::Device(device) => {
                let key = DeviceKey(device.clone());
                let row = rows::resolve(&*store, &mut txn, |txn| txn.read(&key)).await?;
                Ok(match row {
                    Some(row) => self.device(device, &row, now_ms),
                    None => self.unknown(subject, &Topic::DeviceHead(device.clone()), cause),
                })
            }
        }
    }

    fn group(
        &mut self,
        group: &GroupId,
        row: &GroupRow,
        deployments: &[(DeploymentId, DeploymentRow)],
        now_ms: u64,
    ) -> Vec<Outgoing> {
        let subject = Subject::Group(group.clone());
        let at = |generation| {
            let mut head = desired::group_head(row, deployments, generation);
            head.source.clone_from(&self.source);
            if !head.notices.is_empty() {
                head.valid_for_s = self.validity_s;
            }
            head
        };
        let valid_ms = u64::from(at(Generation(0)).valid_for_s) * 1000;
        let seal = |generation| self.signer.group_head(group, &at(generation));
        let publish = self.ledger.head(&subject, seal, valid_ms, now_ms);
        if let Some(Publish { generation, .. }) = &publish {
            let notices = deployments.len();
            tracing::debug!(group = %group, generation = generation.0, notices, "group head out");
        }
        publish.map(|publish| publish.message).into_iter().collect()
    }

    fn device(&mut self, device: &DeviceId, row: &DeviceRow, now_ms: u64) -> Vec<Outgoing> {
        let subject = Subject::Device(device.clone());
        let seal = |generation| {
            let head = desired::device_head(row, generation);
            self.signer.device_head(device, &head)
        };
        let publish = self.ledger.head(&subject, seal, 0, now_ms);
        publish.map(|publish| publish.message).into_iter().collect()
    }

    /// A message without generation.
    fn fixed(
        &mut self,
        subject: &Subject,
        topic: &Topic,
        payload: Vec<u8>,
        now_ms: u64,
    ) -> Vec<Outgoing> {
        let message = Outgoing::retained(self.topics.format(topic), payload);
        let publish = self.ledger.head(subject, |_| message.clone(), 0, now_ms);
        publish.map(|publish| publish.message).into_iter().collect()
    }

    /// A head without rows: cleared when its rows were deleted or it is not ours. One that
    /// we signed is left alone: it is a device's membership and may be all that is left of
    /// a lost registry (W4).
    fn unknown(&mut self, subject: &Subject, topic: &Topic, cause: Cause) -> Vec<Outgoing> {
        if cause == Cause::Seen && !self.ledger.knows(subject) {
            return Vec::new();
        }
        if cause == Cause::Seen && self.ledger.has_signed(subject) {
            tracing::warn!(%topic, "a head of ours is retained for something not in the store");
            return Vec::new();
        }
        self.ledger.forget(subject);
        let mut cleared = vec![Outgoing::retained(self.topics.format(topic), Vec::new())];
        if let (Subject::Device(device), Cause::Changed) = (subject, cause) {
            let reports = [Topic::Status, Topic::Presence, Topic::Info];
            cleared.extend(reports.iter().map(|report| {
                Outgoing::retained(self.topics.format(&report(device.clone())), Vec::new())
            }));
        }
        cleared
    }
}
