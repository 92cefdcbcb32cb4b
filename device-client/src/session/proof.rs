//! The proof that a release is there already (S12). It takes as long as the `verify` scripts
//! do, and a connection may be shorter: it goes on without one, and is made once for a
//! deployment.

use hoist_protocol::id::{DeploymentId, ReleaseId};
use hoist_protocol::spec::DeploymentSpec;
use serde::Serialize;

use crate::machine::{Event, Verdict};

/// The facts known of the deployment that is proven, or was proven last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    of: Option<(DeploymentId, ReleaseId)>,
    verdict: Option<Verdict>,
}

/// The next deed about a release that is installed already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proving {
    /// Begin to prove it.
    Begin,
    /// Wait: it is being proven.
    Wait,
    /// Tell the machine: it was proven before.
    Known(Event),
}

impl Proof {
    /// The manifest of an entry arrived, and everything in it is installed.
    pub(super) fn of(&self, entry: &DeploymentSpec) -> Proving {
        if self.of != Some((entry.deployment, entry.release)) {
            return Proving::Begin;
        }
        self.event().map_or(Proving::Wait, Proving::Known)
    }

    /// It is being proven from now on.
    pub(super) fn begun(&mut self, entry: &DeploymentSpec) {
        self.of = Some((entry.deployment, entry.release));
        self.verdict = None;
    }

    /// It is proven. The event is for the machine, unless a manifest is on its way that it
    /// waits for.
    pub(super) fn ended(&mut self, verdict: Verdict) -> Option<Event> {
        self.verdict = Some(verdict);
        self.event()
    }

    /// Something else is done in its place, which may change what is installed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn event(&self) -> Option<Event> {
        let (deployment, release) = self.of?;
        let verdict = self.verdict.clone()?;
        Some(Event::Manifest {
            deployment,
            release,
            verdict,
        })
    }
}
