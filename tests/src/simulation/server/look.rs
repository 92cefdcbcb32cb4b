//! The content of the server's rows, and the work that the server has to do yet.

use hoist_orchestrator_core::engine::desired;
use hoist_orchestrator_core::engine::publish::{Broker, Subject};
use hoist_orchestrator_core::model::key::{DeploymentKey, Prefix, RolloutKey, RowKey};
use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_orchestrator_core::model::timer::{Clock, Timer, TimerKind};
use hoist_orchestrator_core::model::txn::{Txn, Undecided};
use hoist_protocol::id::{DeploymentId, DeviceId, Generation, GroupId};
use hoist_protocol::spec::GroupSpec;

use super::{DUE_MAX, Server};

impl Server {
    /// True if a line is sought, and true if one was found.
    pub fn lines(&self) -> (bool, bool) {
        let sought = !self.seeks.is_empty() || !self.sweeps.is_empty();
        (sought, !self.found.is_empty())
    }

    /// Timers that are due now, as the adapter looks for them: only while connected.
    pub fn due(&self, unix_ms: u64) -> Vec<Timer> {
        self.rows.due(self.now(unix_ms), DUE_MAX)
    }

    /// True if any timer is due now.
    pub fn is_due(&self, unix_ms: u64) -> bool {
        let [unix, uptime] = self.first_due_ms;
        unix.is_some_and(|at| at <= unix_ms + self.ahead_ms)
            || uptime.is_some_and(|at| at <= self.uptime_ms)
    }

    pub(super) fn timers(&self, clock: Clock) -> impl Iterator<Item = Timer> {
        let keys = self.rows.scan(&clock.prefix());
        keys.filter_map(|(key, _)| Timer::parse(key))
    }

    /// Milliseconds until something is due, answers to be forgotten aside.
    pub fn next_due_ms(&self, unix_ms: u64) -> Option<u64> {
        let now = self.now(unix_ms);
        let forgets = |timer: &Timer| matches!(timer.kind, TimerKind::Forget(..));
        let unix = self.timers(Clock::Unix).find(|timer| !forgets(timer));
        let unix = unix.map(|timer| timer.due_ms.saturating_sub(now.unix_ms));
        let uptime = self.timers(Clock::Uptime).next();
        let uptime = uptime.map(|timer| timer.due_ms.saturating_sub(now.uptime_ms));
        unix.into_iter().chain(uptime).min()
    }

    /// True if no timer but those of rollouts will come.
    pub fn only_looks(&self) -> bool {
        let looks =
            |timer: &Timer| matches!(timer.kind, TimerKind::Rollout(_) | TimerKind::Forget(..));
        let mut timers = self.timers(Clock::Unix).chain(self.timers(Clock::Uptime));
        timers.all(|timer| looks(&timer))
    }

    /// True if reconcile has nothing to do and saw everything it published.
    pub fn is_quiet(&self) -> bool {
        self.engine.difference().is_quiet(|_| true) && self.engine.difference().has_told_all()
    }

    /// The events that reconcile waits for, in debug text.
    pub fn waits_for(&self) -> String {
        let known = self.engine.difference().known().into_iter();
        let sent: Vec<_> = known
            .filter(|known| known.broker != Broker::Holds)
            .collect();
        format!("{:?} {sent:?}", self.engine.difference().outbox())
    }

    /// True if reconcile has something to look at.
    pub fn is_marked(&self) -> bool {
        self.engine.has_walks() || self.engine.difference().marked().next().is_some()
    }

    /// Of how many devices reconcile has to look at the specs.
    pub fn marked_devices(&self) -> usize {
        let marked = self.engine.difference().marked();
        marked
            .filter(|subject| matches!(subject, Subject::Device(_)))
            .count()
    }

    /// A durable row.
    pub fn row<K: RowKey>(&self, key: &K) -> Option<K::Row> {
        self.rows.read(key).expect("a readable row")
    }

    /// Every deployment there is.
    pub fn deployments(&self) -> impl Iterator<Item = DeploymentId> {
        let keys = self.rows.scan(&Prefix::Deployments.bytes());
        keys.filter_map(|(key, _)| {
            let bytes = key.0.get(1..)?.try_into().ok()?;
            Some(DeploymentId(u32::from_be_bytes(bytes)))
        })
    }

    /// Deployments that wait for people: those that are paused, and the phases, from 1, that
    /// nobody has approved yet.
    pub fn waits_for_people(&self) -> impl Iterator<Item = (DeploymentId, Option<u32>)> {
        self.deployments().filter_map(move |id| {
            let row = self.row(&DeploymentKey(id))?;
            let course = self.row(&RolloutKey(id));
            let waits = course.filter(|course| {
                let wants = course.current().is_some_and(|phase| phase.approvals > 0);
                wants && !course.is_open
            });
            match row.state {
                DeploymentState::Paused => Some((id, None)),
                DeploymentState::Active => Some((id, Some(waits?.phase + 1))),
                _ => None,
            }
        })
    }

    /// Every registered device.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.all(&Prefix::Devices)
    }

    /// Every group.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.all(&Prefix::Groups)
    }

    pub(super) fn all<T: std::str::FromStr>(&self, prefix: &Prefix) -> impl Iterator<Item = T> {
        let keys = self.rows.scan(&prefix.bytes());
        keys.filter_map(|(key, _)| prefix.rest(key)?.parse().ok())
    }

    /// The spec of a group as its rows desire it.
    pub fn group(&self, group: &GroupId) -> Option<impl Fn(Generation) -> GroupSpec + use<>> {
        let mut txn = Txn::default();
        let rows = loop {
            match desired::read_group(&txn, group) {
                Ok(read) => break read?,
                Err(Undecided::Missing(keys)) => self.rows.load(&mut txn, keys),
                Err(corrupt) => panic!("{corrupt}: {corrupt:?}"),
            }
        };
        assert!(rows.damaged.is_empty(), "{:?}", rows.damaged);
        Some(move |generation| desired::group_spec(&rows.group, &rows.deployments, generation))
    }
}
