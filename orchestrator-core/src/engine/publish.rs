//! Makes the broker hold what the rows desire: the only code that publishes specs, manifests and
//! the root documents. Level-triggered: whatever changed, was lost or was overwritten, it compares
//! what is desired with what is known to be out, and publishes the difference. It never decides
//! anything.

mod ahead;
mod difference;
mod outbox;
mod part;
mod published_state;
mod seen;
mod subject;

use std::collections::HashSet;
use std::sync::Arc;

use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId};
use hoist_protocol::topic::Topic;

use crate::engine::desired::{self, GroupRows};
use crate::engine::event::Output;
use crate::engine::seals::Seals;
use crate::model::effect::Effect;
use crate::model::instance::InstanceId;
use crate::model::key::{DeviceKey, OutboxKey, ReleaseKey, RemovedGroupKey, RowKey};
use crate::model::now::Mode;
use crate::model::row::{DeploymentRow, DeviceRow, GroupRow, OutboxRow};
use crate::model::txn::{Txn, Undecided};
use crate::query::explain::{Out, SpecsOut};

pub use ahead::{Ahead, Shows, ahead_of};
pub use difference::{Cause, Difference, Known, Publish, Unknown};
pub use published_state::Broker;
pub use subject::Subject;

/// Settings of whatever is published.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The orchestrator that it is, among those that work on the store.
    pub instance: InstanceId,
    /// The purpose of the server.
    pub mode: Mode,
    /// Where devices fetch artifacts from, told in group specs; none = each device's own setting
    /// (W1).
    pub source: Option<String>,
    /// The time for which a spec with entries is valid, in seconds (W2).
    pub validity_s: u32,
    /// The root documents with their numbers, sealed, oldest first; none = somebody else keeps them.
    pub roots: Vec<(u32, Vec<u8>)>,
}

/// Publishes the difference between desired and out.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    settings: Arc<Settings>,
    pub(super) difference: Difference,
    /// The newest generation that the store knew of when the program started, or when its
    /// recovery began first.
    known: Generation,
    /// Devices that have shown in this run what they keep, or that they keep nothing.
    shown: HashSet<DeviceId>,
    /// A spec of ours that this store knows nothing of, by its topic.
    pub(super) ahead: Option<(Topic, Shows)>,
}

/// The rows behind one subject.
pub(crate) enum Rows {
    Root,
    Release(Option<Vec<u8>>),
    Group(GroupRows),
    /// There is no such group; true if it was removed.
    NoGroup(bool),
    Device(Option<Box<DeviceRow>>, Option<OutboxRow>),
}

/// True if only the orchestrator writes this topic.
#[must_use]
pub fn is_own(topic: &Topic) -> bool {
    matches!(
        topic,
        Topic::GroupSpec(_) | Topic::DeviceSpec(_) | Topic::Release(_) | Topic::Root(_)
    )
}

impl Publisher {
    /// No earlier run signed a generation above `reserved`, and the store knew of those up to
    /// `known` before it began to recover.
    pub(crate) fn new(settings: Settings, reserved: Generation, known: Generation) -> Self {
        let mut difference = Difference::default();
        difference.started(reserved);
        Self {
            settings: Arc::new(settings),
            difference,
            known,
            shown: HashSet::new(),
            ahead: None,
        }
    }

    fn root(&self, number: u32) -> Option<&[u8]> {
        let mut roots = self.settings.roots.iter();
        roots.find_map(|(known, sealed)| (*known == number).then_some(&sealed[..]))
    }

    /// These root documents are published from now on.
    pub(crate) fn has_roots(&mut self, roots: Vec<(u32, Vec<u8>)>) {
        Arc::make_mut(&mut self.settings).roots = roots;
    }

    /// Another key signs from now on. The generations of the one before it mean nothing to devices
    /// any more, whatever was driven with it (bad-inputs row 43).
    pub(crate) fn signed_anew(&mut self) {
        self.difference.signed_anew();
        self.known = Generation(0);
        self.ahead = None;
    }

    /// Everything can be seen now: root, manifests of active deployments and specs of groups go
    /// out again; specs of devices when something shows that they are needed.
    pub(crate) fn subscribed(&mut self, shared: Vec<Subject>) {
        let roots = self.settings.roots.iter();
        let roots = roots.map(|(number, _)| Subject::Root(*number));
        self.difference.subscribed(roots.chain(shared));
    }

    /// A device shows the spec that it was told last.
    pub(crate) fn asked(&mut self, device: DeviceId) {
        self.note_shown(&device);
        self.difference.asked(device);
    }

    /// A device shows its key.
    pub(crate) fn forgot(&mut self, device: DeviceId) {
        self.note_shown(&device);
        self.difference.forgot(device);
    }

    /// Only a recovery needs to know.
    fn note_shown(&mut self, device: &DeviceId) {
        if self.settings.mode == Mode::Recovering {
            self.shown.insert(device.clone());
        }
    }

    /// True if a device has not shown yet what it keeps, in recovery: a new spec would take its
    /// place, and it may be all that is left of a move or a hold. As soon as it shows that, its
    /// spec is looked at again.
    pub(crate) fn is_unheard(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Device(device) => {
                self.settings.mode == Mode::Recovering && !self.shown.contains(device)
            }
            _ => false,
        }
    }

    /// True if the root documents and every group spec were seen back from the broker.
    pub(crate) fn is_quiet(&self) -> bool {
        self.difference
            .is_quiet(|subject| !matches!(subject, Subject::Device(_)))
    }

    /// The state at the broker of what a device is to read.
    pub(crate) fn specs_out(&self, group: &GroupId, device: &DeviceId) -> SpecsOut {
        let out = |held: bool| if held { Out::Held } else { Out::OnItsWay };
        let group = Subject::Group(group.clone());
        let device = Subject::Device(device.clone());
        SpecsOut {
            group: out(self.difference.is_held(&group)),
            // Not known to be out, it is published when the device connects.
            device: out(!self.difference.is_on_its_way(&device)),
        }
    }

    /// Reads the rows behind a subject.
    ///
    /// # Errors
    /// [`Undecided`] naming the rows to load.
    pub(crate) fn read(txn: &Txn, subject: &Subject) -> Result<Rows, Undecided> {
        Ok(match subject {
            Subject::Root(_) => Rows::Root,
            Subject::Release(id) => {
                let row = txn.read(&ReleaseKey(*id))?;
                Rows::Release(row.map(|row| row.sealed))
            }
            Subject::Group(group) => match desired::read_group(txn, group)? {
                Some(rows) => Rows::Group(rows),
                None => Rows::NoGroup(txn.read(&RemovedGroupKey(group.clone()))?.is_some()),
            },
            Subject::Device(device) => {
                let outbox = OutboxKey(device.clone());
                let key = DeviceKey(device.clone());
                txn.want([key.key(), outbox.key()])?;
                let row = txn.read(&key)?.map(Box::new);
                // Whoever was revoked obeys nobody (W4).
                let row = row.filter(|row| row.revoked().is_none());
                Rows::Device(row, txn.read(&outbox)?)
            }
        })
    }

    /// The messages that must be published for a subject.
    pub(crate) fn publish(
        &mut self,
        subject: &Subject,
        cause: Cause,
        rows: Rows,
        seals: &impl Seals,
        now_ms: u64,
    ) -> Vec<Output> {
        let recovering = self.settings.mode == Mode::Recovering;
        match (subject, rows) {
            (Subject::Root(number), _) => match self.root(*number).map(<[u8]>::to_vec) {
                Some(sealed) => self.fixed(subject, Topic::Root(*number), &sealed, now_ms),
                None => Vec::new(),
            },
            (Subject::Release(id), Rows::Release(Some(sealed))) => {
                self.fixed(subject, Topic::Release(*id), &sealed, now_ms)
            }
            // In recovery it may be all that is left of it.
            (Subject::Release(_), _) if recovering => Vec::new(),
            (Subject::Release(id), _) => self.unknown(subject, Topic::Release(*id), cause),
            (Subject::Group(group), Rows::Group(rows)) => {
                // In recovery nothing is begun.
                let listed = if recovering {
                    &[][..]
                } else {
                    &rows.deployments
                };
                let spec = self.group(group, &rows.group, listed, seals, now_ms);
                let damaged = rows.damaged.into_iter().map(Effect::Damaged);
                damaged.map(Output::Effect).chain(spec).collect()
            }
            (Subject::Group(group), rows) => {
                let removed = matches!(rows, Rows::NoGroup(true));
                let cause = if removed { Cause::Changed } else { cause };
                self.unknown(subject, Topic::GroupSpec(group.clone()), cause)
            }
            (Subject::Device(device), Rows::Device(Some(row), outbox)) => {
                self.device(device, &row, outbox.as_ref(), seals, now_ms)
            }
            (Subject::Device(device), rows) => {
                let outbox = match &rows {
                    Rows::Device(_, outbox) => outbox.as_ref(),
                    _ => None,
                };
                // Also when the crash came before it could be cleared.
                let cause = outbox.map_or(cause, |_| Cause::Changed);
                self.difference.cleared(device, outbox, now_ms);
                self.unknown(subject, Topic::DeviceSpec(device.clone()), cause)
            }
        }
    }

    fn group(
        &mut self,
        group: &GroupId,
        row: &GroupRow,
        deployments: &[(DeploymentId, DeploymentRow)],
        seals: &impl Seals,
        now_ms: u64,
    ) -> Vec<Output> {
        let subject = Subject::Group(group.clone());
        let settings = &self.settings;
        let at = |generation| {
            let mut spec = desired::group_spec(row, deployments, generation);
            spec.source.clone_from(&settings.source);
            if !spec.entries.is_empty() {
                spec.valid_for_s = settings.validity_s;
            }
            spec
        };
        let valid_ms = u64::from(at(Generation(0)).valid_for_s) * 1000;
        let seal = |generation| seals.group_spec(group, &at(generation));
        let publish = self.difference.publish(&subject, seal, valid_ms, now_ms);
        output(Topic::GroupSpec(group.clone()), publish)
    }

    fn device(
        &mut self,
        device: &DeviceId,
        row: &DeviceRow,
        outbox: Option<&OutboxRow>,
        seals: &impl Seals,
        now_ms: u64,
    ) -> Vec<Output> {
        let seal = |generation| seals.device_spec(device, &desired::device_spec(row, generation));
        let difference = &mut self.difference;
        let publish = difference.publish_device(device, &row.group, outbox, seal, now_ms);
        output(Topic::DeviceSpec(device.clone()), publish)
    }

    /// A message without generation.
    fn fixed(
        &mut self,
        subject: &Subject,
        topic: Topic,
        payload: &[u8],
        now_ms: u64,
    ) -> Vec<Output> {
        let seal = |_| payload.to_vec();
        let publish = self.difference.publish(subject, seal, 0, now_ms);
        output(topic, publish)
    }

    /// A message without rows.
    fn unknown(&mut self, subject: &Subject, topic: Topic, cause: Cause) -> Vec<Output> {
        match (self.difference.unknown(subject, cause), subject) {
            (Unknown::NotOurs, _) => Vec::new(),
            (Unknown::Kept, _) => vec![Output::Stray(topic)],
            (Unknown::ClearReports, Subject::Device(device)) => {
                let mut cleared = vec![clear(topic)];
                cleared.extend(clear_reports(device));
                cleared
            }
            (Unknown::Clear | Unknown::ClearReports, _) => vec![clear(topic)],
        }
    }
}

/// Clears what a device has said: it would be read as the word of its next life. That it says no
/// more is the broker's part.
pub(crate) fn clear_reports(device: &DeviceId) -> impl Iterator<Item = Output> {
    reports(device).map(clear)
}

/// The topics that a device keeps retained; its key comes before what it has signed with it.
pub(crate) fn reports(device: &DeviceId) -> impl Iterator<Item = Topic> {
    let reports: [fn(DeviceId) -> Topic; 3] = [Topic::Info, Topic::Presence, Topic::Status];
    let device = device.clone();
    reports
        .into_iter()
        .map(move |report| report(device.clone()))
}

pub(crate) fn clear(topic: Topic) -> Output {
    let payload = Vec::new();
    Output::Publish { topic, payload }
}

fn output(topic: Topic, publish: Option<Publish>) -> Vec<Output> {
    let publish = publish.map(|Publish { payload, .. }| Output::Publish { topic, payload });
    publish.into_iter().collect()
}
