//! The conditions that must be true after every step, by name, and those that must come true in the
//! end.
//!
//! After a step only what it touched is looked at: the rows it wrote, the spec it
//! published, what a device did. [`finally`] counts everything afresh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hoist_orchestrator_core::model::state::DeploymentState;
use hoist_protocol::codec::decode_prefix;
use hoist_protocol::id::{DeploymentId, Generation, Round, UserId};
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use serde::Serialize;

use super::broker::Payload;
use super::canon::Canon;
use super::device::Device;
use super::line::Line;
use super::server::{Committed, Server};
use super::truth::{Deed, Ending};

mod deeds;
pub mod finally;
mod rollout;
mod rows;
mod tally;

use rows::Mirror;

/// The conditions that must hold after every step.
pub const ALWAYS: &[&str] = &[
    "generations-never-fall",
    "counters-equal-a-recount",
    "a-record-in-progress-has-its-timer",
    "a-final-outcome-never-regresses",
    "a-recorded-outcome-is-the-devices-own",
    "a-timeout-is-decided-after-asking",
    "an-ended-deployment-stays-ended",
    "active-deployments-share-no-artifact",
    "a-record-belongs-to-a-member",
    "an-aborted-deployment-starts-nobody",
    "a-removed-device-starts-nothing",
    "a-device-starts-what-its-spec-lists",
    "a-held-device-does-not-start",
    "one-deployment-at-a-time",
    "what-is-over-is-not-begun-again",
    "an-install-runs-once-per-attempt",
    "a-round-ends-once",
    "a-late-death-beats-no-birth",
    "what-failed-is-rolled-back",
    "a-deployment-is-listed-in-its-time",
    "a-status-number-never-falls",
    "only-a-newer-status-moves-a-record",
    "no-outcome-is-counted-twice",
    "limits-are-exact",
    "a-retry-raises-the-round",
    "a-number-is-given-once",
    "a-gate-is-never-passed-early",
    "a-phase-opens-with-the-approvals-it-wants",
    "a-phase-never-shrinks",
    "a-phase-lets-in-as-many-as-it-says",
    "a-budget-is-never-exceeded",
    "a-pace-is-kept",
    "no-more-are-at-work-than-may-be",
    "a-threshold-counts-only-reports",
    "a-paused-deployment-starts-nobody",
    "a-frozen-group-starts-nobody",
    "a-window-is-kept-by-the-devices-time",
    "a-selection-is-kept",
    "a-fallback-goes-only-to-who-had-started",
];

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub invariant: &'static str,
    /// The fault.
    pub what: String,
}

/// Builds a [`Broken`] unless the condition holds.
///
/// # Errors
/// That.
pub fn hold(
    holds: bool,
    invariant: &'static str,
    what: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if holds {
        return Ok(());
    }
    let what = what();
    Err(Broken { invariant, what })
}

/// The memory of earlier steps, to compare with: of the server, and of each device, so that a world
/// that is explored shares the parts that a step does not touch.
#[derive(Clone)]
pub struct Watch {
    pub(super) rows: Arc<Rows>,
    pub(super) pasts: Vec<Arc<Past>>,
}

/// The rows that the server wrote and the specs it published.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    mirror: Mirror,
    /// Highest generation the server published on each line.
    published: BTreeMap<Line, Generation>,
    /// The deployments that each group's newest published spec lists.
    listed: BTreeMap<Line, BTreeSet<DeploymentId>>,
}

/// The deeds of a device.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Past {
    /// Deployments in which it started something.
    started: BTreeSet<DeploymentId>,
    /// The deployment that the device works on.
    working: Option<DeploymentId>,
    ends: BTreeMap<(DeploymentId, Round), Ending>,
    /// Deployments and rounds in which it began to install.
    installed: BTreeSet<(DeploymentId, Round)>,
}

impl Watch {
    /// Of a world with so many devices in which nothing has happened.
    pub fn new(devices: u16) -> Self {
        Self {
            rows: Arc::default(),
            pasts: (0..devices).map(|_| Arc::default()).collect(),
        }
    }

    /// The server committed rows; it was connected for so much true time, ms.
    ///
    /// # Errors
    /// What is broken by it.
    pub fn committed(
        &mut self,
        committed: &Committed,
        uptime_ms: u64,
        server: &Server,
    ) -> Result<(), Broken> {
        let mirror = &mut Arc::make_mut(&mut self.rows).mirror;
        mirror.apply(committed, uptime_ms, &self.pasts, server)
    }

    /// A user approves the phase of a rollout that waits for it.
    pub fn approved(&mut self, of: (DeploymentId, u32), user: UserId) {
        Arc::make_mut(&mut self.rows).mirror.approved(of, user);
    }

    /// A device did something; `told` = no newer spec of its own is on its way to it. Time is true
    /// Unix time and connected uptime, in ms.
    ///
    /// # Errors
    /// What is broken by it.
    pub fn did(
        &mut self,
        device: &Device,
        deed: Deed,
        told: bool,
        time: (u64, u64),
    ) -> Result<(), Broken> {
        deeds::check(self, device, deed, told, time)
    }

    /// A rollout that goes on although it had to stop.
    pub fn not_stopped(&self) -> Option<String> {
        self.rows.mirror.not_stopped()
    }

    fn past(&mut self, number: u16) -> &mut Past {
        Arc::make_mut(&mut self.pasts[usize::from(number) - 1])
    }
}

impl Past {
    /// True if it used a slot of a deployment.
    fn has_begun(&self, id: DeploymentId) -> bool {
        self.started.contains(&id)
    }

    /// True if it is at work on a deployment.
    fn works_on(&self, id: DeploymentId) -> bool {
        self.working == Some(id)
    }
}

impl Rows {
    /// Everything that can make a difference.
    pub(super) fn look(&self, canon: &mut Canon) {
        self.mirror.look(canon);
        canon.put((&self.published, &self.listed));
    }

    /// The memory about a device, or about none.
    pub(super) fn part(&self, device: Option<u16>) -> Self {
        let published = self.published.iter();
        let published = published.filter(|(line, _)| line.about() == device);
        Self {
            mirror: self.mirror.part(device),
            published: published.map(|(line, at)| (*line, *at)).collect(),
            listed: match device {
                None => self.listed.clone(),
                Some(_) => BTreeMap::new(),
            },
        }
    }

    /// Adds what another part remembers.
    pub(super) fn join(&mut self, other: &Self) {
        self.mirror.join(&other.mirror);
        self.published.extend(&other.published);
        let listed = other.listed.iter();
        self.listed
            .extend(listed.map(|(line, ids)| (*line, ids.clone())));
    }

    /// Deployments that have ended and are in no published spec.
    pub fn over(&self) -> BTreeSet<DeploymentId> {
        let ended = self.mirror.deployments.iter().filter(|(id, row)| {
            let group = Line::group(&row.group);
            let listed = group.and_then(|line| self.listed.get(&line));
            row.state == DeploymentState::Aborted && !listed.is_some_and(|ids| ids.contains(id))
        });
        ended.map(|(id, _)| *id).collect()
    }

    /// The server published a line.
    ///
    /// # Errors
    /// What is broken by it.
    pub fn published(&mut self, line: Line, payload: Option<&Payload>) -> Result<(), Broken> {
        let Some(payload) = payload else {
            // Cleared: a device or group that comes again begins afresh.
            self.published.remove(&line);
            return Ok(());
        };
        let generation = match line {
            Line::Group(_) => decode_prefix::<GroupSpec>(payload).ok().map(|(spec, _)| {
                let ids = spec.entries.iter().map(|entry| entry.deployment).collect();
                self.listed.insert(line, ids);
                spec.generation
            }),
            Line::Device(_) => decode_prefix::<DeviceSpec>(payload)
                .ok()
                .map(|(spec, _)| spec.generation),
            _ => None,
        };
        let Some(generation) = generation else {
            return Ok(());
        };
        let before = self.published.insert(line, generation);
        hold(
            before.is_none_or(|before| generation >= before),
            "generations-never-fall",
            || format!("{line} fell from {before:?} to {generation:?}"),
        )
    }

    /// What is paused is not listed, and a frozen group lists nothing. What was committed is known
    /// before what is published of it.
    ///
    /// # Errors
    /// That a device may start what it must not.
    pub fn lists(&self, line: Line) -> Result<(), Broken> {
        let nothing = BTreeSet::new();
        let listed = self.listed.get(&line).unwrap_or(&nothing);
        for id in listed {
            let row = self.mirror.deployments.get(id);
            let paused = row.is_some_and(|row| row.state == DeploymentState::Paused);
            hold(!paused, "a-paused-deployment-starts-nobody", || {
                format!("{line} lists {id}, which is paused")
            })?;
        }
        let frozen = self.mirror.is_frozen(line);
        hold(
            !frozen || listed.is_empty(),
            "a-frozen-group-starts-nobody",
            || format!("{line} is frozen and lists {listed:?}"),
        )
    }

    /// Everything that failed in a deployment was told to begin again in this round (S13).
    ///
    /// # Errors
    /// That its spec will not say so.
    pub fn retried(&self, id: DeploymentId, round: Round) -> Result<(), Broken> {
        let raised = self.mirror.deployments.get(&id).map(|row| row.round);
        hold(raised >= Some(round), "a-retry-raises-the-round", || {
            format!("{id} is in {raised:?} and was told {round:?}")
        })
    }
}
