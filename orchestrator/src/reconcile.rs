//! Makes the broker hold what the rows desire: the only code that publishes heads,
//! manifests and the root document. Level-triggered: whatever changed, was lost or was
//! overwritten, it compares what is desired with what is known to be out, and publishes
//! the difference. It never decides anything.

mod ahead;
mod difference;
mod ledger;
mod outbox;
mod part;
mod seen;
mod subject;

use std::collections::HashSet;
use std::sync::Arc;

use hoist_orchestrator_core::engine::desired;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::key::{
    DeviceKey, OutboxKey, Prefix, ReleaseKey, RemovedGroupKey, RowKey,
};
use hoist_orchestrator_core::model::now::Mode;
use hoist_orchestrator_core::model::row::{
    DeploymentRow, DeviceRow, GroupRow, OutboxRow, RemovedGroupRow,
};
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::query::explain::{HeadsOut, Out};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId};
use hoist_protocol::topic::{Topic, Topics};

use crate::config::{Keys, OrchestratorConfig};
use crate::rows::{self, ReadError};
use crate::signer::Signer;
use crate::specs::{Spec, SpecFolder};
use crate::store::Store;
use crate::transport::{Connection, Outgoing};

pub(crate) use ahead::ahead_of;
pub use ahead::{Ahead, Shows};
pub use difference::{Cause, Difference, Known, Publish, Unknown};
pub use subject::Subject;

/// Publishes the difference between desired and out.
pub(crate) struct Reconciler {
    store: Arc<dyn Store>,
    signer: Signer,
    topics: Topics,
    keys: Keys,
    specs: SpecFolder,
    source: Option<String>,
    /// How long a head with notices is valid, in seconds (W2).
    validity_s: u32,
    difference: Difference,
    mode: Mode,
    /// What the store knew of when the program started, or when its recovery began first.
    known: Generation,
    /// Devices that have shown in this run what they keep, or that they keep nothing.
    shown: HashSet<DeviceId>,
    /// A head of ours that this store knows nothing of.
    ahead: Option<Ahead>,
    connection: Option<Arc<dyn Connection>>,
}

/// Whether only the orchestrator writes this topic.
pub(crate) fn is_own(topic: &Topic) -> bool {
    matches!(
        topic,
        Topic::GroupHead(_) | Topic::DeviceHead(_) | Topic::Release(_) | Topic::Root(_)
    )
}

impl Reconciler {
    /// A reconciler; no earlier run signed a generation above `reserved`, and the store knew of
    /// those up to `known` before it began to recover.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        topics: Topics,
        config: &OrchestratorConfig,
        (reserved, known): (Generation, Generation),
    ) -> Self {
        let mut difference = Difference::default();
        difference.started(reserved);
        let keys = config.keys.clone();
        let validity_s = config.head_validity.as_secs();
        Self {
            store,
            signer: Signer::new(keys.orchestrator.clone(), topics.clone()),
            topics,
            keys,
            specs: config.specs.clone(),
            source: config.source.clone(),
            validity_s: u32::try_from(validity_s).unwrap_or(u32::MAX).max(1),
            difference,
            mode: config.mode,
            known,
            shown: HashSet::new(),
            ahead: None,
            connection: None,
        }
    }

    /// A new connection: the broker may have lost everything.
    pub(crate) fn connected(&mut self, connection: Arc<dyn Connection>) {
        self.connection = Some(connection);
        self.difference.connected();
    }

    /// Everything can be seen now: root, manifests of active deployments and heads of
    /// groups go out again; heads of devices when something shows that they are needed.
    pub(crate) async fn subscribed(&mut self) -> Result<(), ReadError> {
        let mut shared = vec![Subject::Root];
        for (key, _) in rows::all::<GroupRow>(&*self.store, &Prefix::Groups).await? {
            let group = Prefix::Groups.rest(&key).and_then(|text| text.parse().ok());
            shared.extend(group.map(Subject::Group));
        }
        // Also when the crash came before the head could be cleared.
        for (key, _) in rows::all::<RemovedGroupRow>(&*self.store, &Prefix::RemovedGroups).await? {
            let group = Prefix::RemovedGroups.rest(&key);
            let group = group.and_then(|text| text.parse().ok());
            shared.extend(group.map(Subject::Group));
        }
        for (key, _) in rows::all::<OutboxRow>(&*self.store, &Prefix::Outbox).await? {
            let device = Prefix::Outbox.rest(&key).and_then(|text| text.parse().ok());
            shared.extend(device.map(Subject::Device));
        }
        for (_, row) in rows::all::<DeploymentRow>(&*self.store, &Prefix::Deployments).await? {
            if row.state == DeploymentState::Active {
                shared.push(Subject::Release(row.release));
            }
        }
        self.difference.subscribed(shared);
        Ok(())
    }

    /// The connection is gone; nothing can be published.
    pub(crate) fn disconnected(&mut self) {
        self.connection = None;
    }

    /// Generations up to this one are reserved.
    pub(crate) fn reserved(&mut self, reserved: Generation) {
        self.difference.reserved(reserved);
    }

    /// What has to be decided before [`Reconciler::flush`].
    pub(crate) fn wants(&self, now_ms: u64) -> Option<Input> {
        let connected = self.connection.is_some();
        self.difference.wants(now_ms).filter(|_| connected)
    }

    /// What was seen at the broker since the last call, to be decided.
    pub(crate) fn take_out(&mut self) -> Vec<Input> {
        self.difference.take_out()
    }

    /// Rows of this subject changed.
    pub(crate) fn changed(&mut self, subject: Subject) {
        self.difference.mark(subject, Cause::Changed);
    }

    /// A device connected.
    pub(crate) fn born(&mut self, device: DeviceId) {
        self.difference.born(device);
    }

    /// A device shows the head that it was told last.
    pub(crate) fn asked(&mut self, device: DeviceId) {
        self.shown.insert(device.clone());
        self.difference.asked(device);
    }

    /// A device shows its key.
    pub(crate) fn forgot(&mut self, device: DeviceId) {
        self.shown.insert(device.clone());
        self.difference.forgot(device);
    }

    /// Publishes what is due: everything marked since the last call.
    pub(crate) async fn flush(&mut self, now_ms: u64) -> Result<(), ReadError> {
        let Some(connection) = self.connection.clone() else {
            return Ok(());
        };
        while let Some((subject, cause)) = self.difference.pop() {
            if self.is_unheard(&subject) {
                continue;
            }
            let messages = match self.due(&subject, cause, now_ms).await {
                Ok(messages) => messages,
                Err(error) => {
                    self.difference.mark(subject, cause);
                    return Err(error);
                }
            };
            for message in messages {
                self.keep(&subject, &message).await;
                if connection.publish(message).await.is_err() {
                    self.difference.mark(subject.clone(), cause);
                    self.connection = None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether a device has not shown yet what it keeps, in recovery: a new head would take its
    /// place, and it may be all that is left of a move or a hold. As soon as it shows that, its
    /// head is looked at again.
    fn is_unheard(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Device(device) => {
                self.mode == Mode::Recovering && !self.shown.contains(device)
            }
            _ => false,
        }
    }

    /// Keeps what is published for a group or of a release beside the store. It is a second
    /// account: without it everything goes on.
    async fn keep(&self, subject: &Subject, message: &Outgoing) {
        let spec = match subject {
            Subject::Group(group) => Spec::Group(group.clone()),
            Subject::Release(release) => Spec::Release(*release),
            Subject::Root | Subject::Device(_) => return,
        };
        let kept = match message.payload.is_empty() {
            true => self.specs.forget(&spec).await,
            false => self.specs.keep(&spec, message.payload.clone()).await,
        };
        if let Err(error) = kept {
            tracing::warn!(?spec, %error, "what was signed is not kept beside the store");
        }
    }

    /// Looks again at what was sent long ago and never seen back, and signs again what is
    /// past half of its validity (W2).
    pub(crate) fn review(&mut self, now_ms: u64) {
        self.difference.review(now_ms);
    }

    /// Whether the root document and every group head were seen back from the broker.
    pub(crate) fn is_quiet(&self) -> bool {
        self.difference
            .is_quiet(|subject| !matches!(subject, Subject::Device(_)))
    }

    /// What is known to be at the broker of what a device is to read.
    pub(crate) fn heads_out(&self, group: &GroupId, device: &DeviceId) -> HeadsOut {
        let out = |held: bool| if held { Out::Held } else { Out::OnItsWay };
        let group = Subject::Group(group.clone());
        let device = Subject::Device(device.clone());
        HeadsOut {
            group: out(self.difference.is_held(&group)),
            // Not known to be out, it is published when the device connects.
            device: out(!self.difference.is_on_its_way(&device)),
        }
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
                    // In recovery it may be all that is left of it.
                    None if self.mode == Mode::Recovering => Vec::new(),
                    None => self.unknown(subject, &Topic::Release(*id), cause),
                })
            }
            Subject::Group(group) => {
                let read = |txn: &mut Txn| desired::read_group(txn, group);
                let Some((row, deployments)) = rows::resolve(&*store, &mut txn, read).await? else {
                    let key = RemovedGroupKey(group.clone());
                    let removed = rows::resolve(&*store, &mut txn, |txn| txn.read(&key)).await?;
                    let cause = removed.map_or(cause, |_| Cause::Changed);
                    return Ok(self.unknown(subject, &Topic::GroupHead(group.clone()), cause));
                };
                // In recovery nothing is begun.
                let listed = match self.mode {
                    Mode::Serving => deployments,
                    Mode::Recovering => Vec::new(),
                };
                Ok(self.group(group, &row, &listed, now_ms))
            }
            Subject::Device(device) => {
                let read = |txn: &mut Txn| {
                    let outbox = OutboxKey(device.clone());
                    let key = DeviceKey(device.clone());
                    txn.want([key.key(), outbox.key()])?;
                    Ok((txn.read(&key)?, txn.read(&outbox)?))
                };
                let (row, outbox) = rows::resolve(&*store, &mut txn, read).await?;
                let outbox = outbox.as_ref();
                Ok(match row {
                    Some(row) => self.device(device, &row, outbox, now_ms),
                    None => {
                        // Also when the crash came before it could be cleared.
                        let cause = outbox.map_or(cause, |_| Cause::Changed);
                        self.difference.cleared(device, outbox, now_ms);
                        self.unknown(subject, &Topic::DeviceHead(device.clone()), cause)
                    }
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
        let publish = self.difference.publish(&subject, seal, valid_ms, now_ms);
        if let Some(Publish { generation, .. }) = &publish {
            let notices = deployments.len();
            tracing::debug!(group = %group, generation = generation.0, notices, "group head out");
        }
        publish.map(|publish| publish.message).into_iter().collect()
    }

    fn device(
        &mut self,
        device: &DeviceId,
        row: &DeviceRow,
        outbox: Option<&OutboxRow>,
        now_ms: u64,
    ) -> Vec<Outgoing> {
        let seal = |generation| {
            let head = desired::device_head(row, generation);
            self.signer.device_head(device, &head)
        };
        let difference = &mut self.difference;
        let publish = difference.publish_device(device, &row.group, outbox, seal, now_ms);
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
        let publish = self
            .difference
            .publish(subject, |_| message.clone(), 0, now_ms);
        publish.map(|publish| publish.message).into_iter().collect()
    }

    /// A message without rows.
    fn unknown(&mut self, subject: &Subject, topic: &Topic, cause: Cause) -> Vec<Outgoing> {
        let clear = |topic: &Topic| Outgoing::retained(self.topics.format(topic), Vec::new());
        match (self.difference.unknown(subject, cause), subject) {
            (Unknown::NotOurs, _) => Vec::new(),
            (Unknown::Kept, _) => {
                tracing::warn!(%topic, "a head of ours is retained for something not in the store");
                Vec::new()
            }
            (Unknown::ClearReports, Subject::Device(device)) => {
                let reports = [Topic::Status, Topic::Presence, Topic::Info];
                let reports = reports.iter().map(|report| clear(&report(device.clone())));
                [clear(topic)].into_iter().chain(reports).collect()
            }
            (Unknown::Clear | Unknown::ClearReports, _) => vec![clear(topic)],
        }
    }
}
