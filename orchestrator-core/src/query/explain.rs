//! Why a device does or does not carry out a deployment: the rules of admission, every one
//! of them, then what a device that may start still waits for. What decided is the first
//! that fails. Nothing here decides anything.

use std::collections::BTreeMap;

use hoist_protocol::device::Trouble;
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};

use crate::model::now::Now;
use crate::model::row::{Counted, InstanceRow, Refusal, RolloutRow, Stay};
use crate::model::time::format_time;
use crate::query::explain::said::Finding;
use crate::query::of_record;
use crate::reply::{Explanation, RuleItem, RuleWord, StatusWord, Wait};
use crate::rules::rollout::admission::{Case, Rule};

mod failed;
mod nothing;
mod revoked;
mod said;
mod say;
mod trouble;

pub(crate) use nothing::nothing;
use say::ExplainContext;

/// A device that took a slot of a limit along when it left the group, and of whose start
/// nothing was heard (S10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The first of them.
    pub by: DeviceId,
    /// Where it is now; none = it was removed.
    pub group: Option<GroupId>,
    /// True if others did so too.
    pub more: bool,
}

/// A rollout, with the counts that the gate of its open phase looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutContext {
    /// Where it is.
    pub state: RolloutRow,
    /// The devices that were let in by the phase, and those that ended.
    pub counted: Counted,
}

/// The facts about a device besides its rows of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceContext<'a> {
    /// The slots of limits that were taken along, by deployment.
    pub taken: &'a BTreeMap<DeploymentId, Taken>,
    /// The rollouts that go on, by deployment.
    pub rollouts: &'a BTreeMap<DeploymentId, RolloutContext>,
    /// Which of its group's deployments it carries out now.
    pub works_on: Option<DeploymentId>,
    /// The one of its group's deployments that comes first among those that it may start now (S11).
    pub first: Option<DeploymentId>,
    /// The state of its specs at the broker.
    pub specs: SpecsOut,
    /// The last refusal of its reports, when nothing was taken in since.
    pub refused: Option<Refusal>,
    /// The trouble that the device reports of itself.
    pub trouble: Option<Trouble>,
    /// Where the device was before it was removed and registered anew.
    pub lives: &'a [Stay],
}

/// The state at the broker of the specs that are desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecsOut {
    /// The spec of the device's group.
    pub group: Out,
    /// The device's own spec.
    pub device: Out,
}

impl SpecsOut {
    /// Everything is there.
    pub const HELD: Self = Self {
        group: Out::Held,
        device: Out::Held,
    };
}

/// Where a spec is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// At the broker; or, of a device's spec, to be published when the device connects.
    Held,
    /// To be published, or published and not yet seen to be there.
    OnItsWay,
}

/// A wait that is not over, as [`crate::rules::rollout::admission::Blocker`] is a rule that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For another deployment, which is at work or comes first.
    Turn { other: DeploymentId, at_work: bool },
    /// For the broker.
    Published,
    /// For the device; whether it is known to be away.
    Reachable { known_away: bool },
    /// For somebody at the device.
    Sound(Trouble),
    /// For an operator.
    KnownKey,
    /// For a report that can be taken in.
    Heeded(Refusal),
    /// For a window.
    Window,
}

/// Explains one device and one deployment.
#[must_use]
pub fn explain(case: Case, around: DeviceContext, instance: &InstanceRow, now: Now) -> Explanation {
    let scene = ExplainContext {
        case,
        around,
        instance,
        now,
    };
    let admission = Rule::ALL.into_iter().map(|rule| {
        let said = rule.blocker(&case).map(|blocker| scene.blocked(&blocker));
        (RuleWord::Admission(rule), said)
    });
    let waiting = Wait::ALL.into_iter().map(|wait| {
        let said = keeps(wait, &scene).map(|waits| scene.waits(waits));
        (RuleWord::Waiting(wait), said)
    });
    let mut decided: Option<(RuleWord, Finding)> = None;
    let mut rules = Vec::new();
    for (rule, said) in admission.chain(waiting) {
        rules.push(RuleItem {
            rule,
            pass: said.is_none(),
            why: said.as_ref().map(|said| said.why),
            says: said.as_ref().map(|said| said.says.clone()),
        });
        decided = decided.or(said.map(|said| (rule, said)));
    }
    let (rule, said) = match decided {
        Some((rule, said)) => (Some(rule), said),
        None => (None, scene.starts()),
    };
    let recorded = case.record.map(of_record).unwrap_or_default();
    let counted = scene.is_counted();
    Explanation {
        deployment: case.id,
        release: case.deployment.release_text.clone(),
        group: case.deployment.group.to_string(),
        state: case.deployment.state,
        status: recorded
            .status
            .or_else(|| counted.then_some(StatusWord::Pending)),
        step: recorded.step,
        attempt: recorded.attempt,
        round: recorded.round,
        reason: recorded.reason,
        since: case.record.map(|record| format_time(record.updated_ms)),
        why: said.why,
        rule,
        says: said.says,
        next: said.next,
        at: said.at_ms.map(format_time),
        rules,
    }
}

/// The reason why a device that may start does not yet, when this is it.
fn keeps(wait: Wait, scene: &ExplainContext) -> Option<Waits> {
    let ExplainContext { case, around, .. } = scene;
    let before = |at_work| move |other| Waits::Turn { other, at_work };
    match wait {
        Wait::Turn => {
            let working = around.works_on.filter(|other| *other != case.id);
            let first = around.first.filter(|other| *other != case.id);
            working
                .map(before(true))
                .or_else(|| first.map(before(false)))
        }
        Wait::Published => {
            let SpecsOut { group, device } = around.specs;
            (group == Out::OnItsWay || device == Out::OnItsWay).then_some(Waits::Published)
        }
        Wait::Reachable => match case.row.is_there(scene.instance) {
            Some(true) => None,
            known => Some(Waits::Reachable {
                known_away: known.is_some(),
            }),
        },
        Wait::Sound => around.trouble.map(Waits::Sound),
        Wait::KnownKey => case.row.offered_key.map(|_| Waits::KnownKey),
        Wait::Heeded => around.refused.map(Waits::Heeded),
        Wait::Window => {
            let policy = &case.deployment.policy;
            let waits = !policy.download_ahead && scene.opens_ms().is_some();
            waits.then_some(Waits::Window)
        }
    }
}
