//! The course of rollouts: what may open, and what may stop, by the records of what devices said. The
//! records are the devices' own words ([`super::Mirror`] looks at that), counted afresh here.

use std::collections::BTreeSet;

use hoist_orchestrator_core::model::rollout::{FailureThreshold, Gate, TooMany};
use hoist_orchestrator_core::model::row::{
    DeploymentRow, EndReason, PauseReason, RecordState, RolloutRow,
};
use hoist_orchestrator_core::model::state::{DeploymentState, GiveUp, Then};
use hoist_protocol::id::{DeploymentId, UserId};
use hoist_protocol::reason::Reason;
use serde::Serialize;

use super::super::{Broken, hold};
use super::Mirror;

/// A rollout, and what was so when its phase opened. Times are true ms of connected uptime.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::simulation::invariants) struct Course {
    /// Its row.
    pub(in crate::simulation::invariants) row: RolloutRow,
    /// When it began.
    pub(in crate::simulation::invariants) begun_ms: u64,
    opened_ms: u64,
    /// Since when its gate holds.
    met_ms: Option<u64>,
    /// The reports at its opening.
    before: Reports,
    /// Slots at its opening.
    slots_before: u32,
    /// The reports that a person has looked at.
    resumed: Reports,
}

/// The ends that devices reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Reports {
    successful: u32,
    failed: u32,
}

impl Reports {
    fn since(self, before: Self) -> Self {
        Self {
            successful: self.successful.saturating_sub(before.successful),
            failed: self.failed.saturating_sub(before.failed),
        }
    }

    fn ended(self) -> u32 {
        self.successful + self.failed
    }

    fn are(self, percent: u8) -> bool {
        self.successful * 100 >= u32::from(percent) * self.ended()
    }
}

/// A change of a deployment's row.
pub(super) type Change = (DeploymentId, Option<DeploymentRow>, DeploymentRow);

impl Mirror {
    /// A user approves the phase that waits.
    pub(in crate::simulation::invariants) fn approved(
        &mut self,
        of: (DeploymentId, u32),
        user: UserId,
    ) {
        self.approvals.entry(of).or_default().insert(user);
    }

    /// Devices that were successful, by their records.
    pub(in crate::simulation::invariants) fn successful(&self, id: DeploymentId) -> u32 {
        self.reports(id, |_| true).successful
    }

    /// What devices reported; failures of these reasons alone, and of those that the release does
    /// not fit none at all (S12).
    fn reports(&self, id: DeploymentId, counts: impl Fn(Reason) -> bool) -> Reports {
        let mut reports = Reports::default();
        for known in self.records.range((id, 0)..=(id, u16::MAX)) {
            match &known.1.row.state {
                RecordState::Successful(_) => reports.successful += 1,
                RecordState::Failed(failure) if counts(failure.reason) => reports.failed += 1,
                RecordState::Failed(_) | RecordState::TimedOut | RecordState::InProgress(_) => {}
            }
        }
        reports
    }

    fn ended(&self, id: DeploymentId) -> Reports {
        self.reports(id, |reason| reason != Reason::Incompatible)
    }

    /// The reports that count for a threshold, what the server inferred included where it may.
    fn counted(&self, id: DeploymentId, threshold: &FailureThreshold) -> Reports {
        let counts = |reason| match threshold.reasons.as_slice() {
            [] => reason != Reason::Incompatible,
            reasons => reasons.contains(&reason),
        };
        let mut reports = self.reports(id, counts);
        if threshold.then == Then::Pause && counts(Reason::TimedOut) {
            let of = self.records.range((id, 0)..=(id, u16::MAX));
            let inferred = of.filter(|(_, known)| known.row.state == RecordState::TimedOut);
            reports.failed += u32::try_from(inferred.count()).unwrap_or(u32::MAX);
        }
        reports
    }

    /// A rollout's row was written.
    pub(super) fn course(
        &mut self,
        id: DeploymentId,
        row: Option<RolloutRow>,
        uptime_ms: u64,
    ) -> Result<(), Broken> {
        let Some(row) = row else {
            self.courses.remove(&id);
            return Ok(());
        };
        let reports = self.ended(id);
        let slots = self.deployments.get(&id).map_or(0, |row| row.slots);
        let mut course = match self.courses.get(&id) {
            Some(course) => course.clone(),
            None => Course {
                row: RolloutRow::new(row.rollout.clone()),
                begun_ms: uptime_ms,
                opened_ms: uptime_ms,
                met_ms: None,
                before: reports,
                slots_before: slots,
                resumed: Reports::default(),
            },
        };
        let stays = row.phase >= course.row.phase && row.phase <= course.row.phase + 1;
        hold(stays, "a-phase-never-shrinks", || {
            format!(
                "{id} was in phase {} and is in {}",
                course.row.phase, row.phase
            )
        })?;
        let passed = row.phase > course.row.phase;
        if passed {
            self.passed(id, &course, reports, slots, uptime_ms)?;
        }
        if row.is_open && (passed || !course.row.is_open) {
            self.opened(id, &row)?;
            course.opened_ms = uptime_ms;
            course.before = reports;
            course.slots_before = slots;
            course.met_ms = None;
        }
        if let Some(phase) = row.current().filter(|_| row.is_open) {
            let given = slots.saturating_sub(course.slots_before);
            let holds = is_met(&phase.gate, given, reports.since(course.before));
            course.met_ms = holds.then(|| course.met_ms.unwrap_or(uptime_ms));
        }
        course.row = row;
        self.courses.insert(id, course);
        Ok(())
    }

    /// A gate is never passed before enough devices ended, well enough and for long enough.
    fn passed(
        &self,
        id: DeploymentId,
        course: &Course,
        reports: Reports,
        slots: u32,
        uptime_ms: u64,
    ) -> Result<(), Broken> {
        let Some(phase) = course.row.current() else {
            return Ok(());
        };
        let gate = &phase.gate;
        let had_ms = uptime_ms - course.opened_ms;
        let given = slots.saturating_sub(course.slots_before);
        let counted = reports.since(course.before);
        let gave_up = gate.give_up == GiveUp::Continue
            && had_ms >= u64::from(gate.give_up_s) * 1_000
            && !is_lost(gate, counted);
        let soak_ms = u64::from(gate.soak_s) * 1_000;
        let met_ms = course.met_ms.unwrap_or(uptime_ms);
        let held = is_met(gate, given, counted) && uptime_ms - met_ms >= soak_ms;
        let early = !(course.row.set_aside || given == 0 || gave_up || held);
        hold(
            !early && course.row.is_open,
            "a-gate-is-never-passed-early",
            || {
                format!(
                    "{id} passed the gate of phase {} after {had_ms} ms with {counted:?} of {given}, \
                 met since {met_ms} of {uptime_ms}: {gate:?}",
                    course.row.phase + 1
                )
            },
        )
    }

    /// A phase opens when as many people as it wants have approved it.
    fn opened(&self, id: DeploymentId, row: &RolloutRow) -> Result<(), Broken> {
        let Some(phase) = row.current() else {
            return Ok(());
        };
        let nobody = BTreeSet::new();
        let users = self.approvals.get(&(id, row.phase + 1)).unwrap_or(&nobody);
        let creator = self.deployments.get(&id).map(|row| &row.created_by);
        let others = users.iter().filter(|user| Some(*user) != creator).count();
        let are = match phase.approvals {
            0 | 1 => users.len(),
            _ => others,
        };
        hold(
            are >= usize::from(phase.approvals),
            "a-phase-opens-with-the-approvals-it-wants",
            || format!("phase {} of {id} opened with {users:?}", row.phase + 1),
        )
    }

    /// A deployment was paused, went on or ended: what stops it are reports.
    pub(super) fn stopped(&mut self, (id, old, new): &Change) -> Result<(), Broken> {
        let was = old.as_ref().map(|row| row.state);
        let Some(course) = self.courses.get(id) else {
            return Ok(());
        };
        let Some(threshold) = course.row.rollout.failure.clone() else {
            return Ok(());
        };
        let resumed = course.resumed;
        let counted = self.counted(*id, &threshold);
        if was == Some(DeploymentState::Paused) && new.state == DeploymentState::Active {
            if let Some(course) = self.courses.get_mut(id) {
                course.resumed = counted;
            }
            return Ok(());
        }
        let aborts = new.end.as_ref().map(|end| end.reason) == Some(EndReason::Failures);
        let pauses = new.paused.as_ref().map(|paused| paused.reason) == Some(PauseReason::Failures);
        let stops = was != Some(new.state) && (aborts || pauses);
        let since = counted.since(resumed);
        hold(
            !stops || is_too_many(&threshold, since),
            "a-threshold-counts-only-reports",
            || format!("{id} was stopped by {since:?}: {threshold:?}"),
        )
    }

    /// Rollouts that go on although too many devices said that they failed.
    pub(in crate::simulation::invariants) fn not_stopped(&self) -> Option<String> {
        let active = |id| self.deployments.get(id).map(|row| row.state);
        self.courses.iter().find_map(|(id, course)| {
            let threshold = course.row.rollout.failure.as_ref()?;
            let since = self.counted(*id, threshold).since(course.resumed);
            let goes_on = active(id) == Some(DeploymentState::Active);
            (goes_on && is_too_many(threshold, since))
                .then(|| format!("{id} goes on with {since:?}: {threshold:?}"))
        })
    }
}

fn is_too_many(threshold: &FailureThreshold, since: Reports) -> bool {
    let at = match threshold.at {
        TooMany::Devices(devices) => since.failed >= devices,
        TooMany::Percent(percent) => since.failed * 100 >= u32::from(percent) * since.ended(),
    };
    at && since.failed > 0 && since.ended() >= threshold.min_ended
}

fn is_lost(gate: &Gate, counted: Reports) -> bool {
    gate.max_failed.is_some_and(|most| counted.failed > most)
}

fn is_met(gate: &Gate, given: u32, counted: Reports) -> bool {
    let needed = gate.min_ended.unwrap_or((given * 4).div_ceil(5));
    counted.ended() >= needed.min(given).max(1)
        && counted.are(gate.success_percent)
        && !is_lost(gate, counted)
}
