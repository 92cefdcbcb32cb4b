//! The machine's states: each holds only what it may know. [`Job`] is the part that is
//! in the journal.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hoist_protocol::spec::{DeploymentSpec, GroupSpec};
use hoist_protocol::status::{RetryCause, ScriptKind};
use serde::Serialize;

use super::event::FetchFailure;
use super::plan::{ArtifactPlan, ScriptPlan};
use crate::job::{Job, Terms};

/// The connection as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Link {
    /// No connection.
    Offline,
    /// Connected; waits for its DeviceSpec of this connection (W4).
    Joining,
    /// Follows its group.
    Member(Member),
}

/// A connected member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Member {
    /// The spec received in this connection; taken away when it has to be asked for again.
    pub(super) spec: Option<GroupSpec>,
    /// When to ask for the spec again, Unix ms.
    pub(super) wake: Option<u64>,
    /// The spec is the answer after a wait: a listed deployment starts without another.
    pub(super) waited: bool,
    /// People were told that the spec has expired.
    pub(super) warned: bool,
}

/// The work of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) enum Work {
    /// Nothing.
    Idle,
    /// Wants to start this and waits for its manifest; not started yet.
    Asking(DeploymentSpec),
    /// A started deployment.
    Active(Box<Active>),
}

/// A started deployment with what need not survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Active {
    pub(super) job: Job,
    pub(super) terms: Terms,
    /// Known once everything is fetched and proven.
    pub(super) plans: Option<Arc<[ArtifactPlan]>>,
    /// When to go on, Unix ms; set while waiting.
    pub(super) wake: Option<u64>,
    /// Waits in a row, for the back-off.
    pub(super) waits: u32,
    /// Why nothing could be fetched, the last time.
    pub(super) trouble: Option<FetchFailure>,
    /// Why it waits; unknown after a restart.
    pub(super) cause: Option<RetryCause>,
    /// Percent fetched.
    pub(super) percent: u8,
    /// Output of the script that failed.
    pub(super) output: Vec<u8>,
    /// The session in which a release is confirmed.
    pub(super) session: Session,
}

/// The session in which a release is confirmed: one that begins after its `verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Session {
    /// It has not begun.
    Awaited,
    /// It has begun, and the device's own spec has not come in it.
    Begun,
    /// The device's own spec came in it.
    Told,
}

impl Active {
    pub(super) fn new(job: Job, terms: Terms) -> Self {
        Self {
            job,
            terms,
            plans: None,
            wake: None,
            waits: 0,
            trouble: None,
            cause: None,
            percent: 0,
            output: Vec::new(),
            session: Session::Awaited,
        }
    }

    pub(super) fn script(&self, artifact: u8, kind: ScriptKind) -> Option<ScriptPlan> {
        let plan = self.plans.as_ref()?.get(usize::from(artifact))?;
        plan.scripts[kind as usize]
    }
}
