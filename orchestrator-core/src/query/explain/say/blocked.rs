//! The sentences of what keeps a device from starting: the rules of admission.

use hoist_protocol::id::GroupId;

use super::super::{Taken, revoked};
use crate::model::row::{EndReason, Frozen};
use crate::model::state::DeploymentState;
use crate::model::time::format_time;
use crate::query::explain::said::Finding;
use crate::query::explain::say::ExplainContext;
use crate::reply::Why;
use crate::rules::freeze::Freeze;
use crate::rules::rollout::admission::{Blocker, Case};
use crate::rules::rollout::membership::{was_counted, was_member_during};

impl ExplainContext<'_> {
    /// A failing rule of admission.
    pub(in crate::query::explain) fn blocked(&self, blocker: &Blocker) -> Finding {
        let Case { id, device, .. } = self.case;
        match blocker {
            Blocker::Begun => match self.case.record {
                Some(record) => self.begun(record),
                // Without a record nothing has begun.
                None => self.starts(),
            },
            Blocker::NotMember { group } => self.elsewhere(group),
            Blocker::Scheduled { start_ms: None } => {
                let says = format!("deployment {id} is scheduled, and its start time is lost");
                let next = format!("never: abort it and deploy again: hoist deployment abort {id}");
                Finding::new(Why::Scheduled, says, next)
            }
            Blocker::Scheduled {
                start_ms: Some(start_ms),
            } => {
                let time = format_time(*start_ms);
                let says = format!("deployment {id} is scheduled for {time}");
                Finding::new(Why::Scheduled, says, format!("is listed at {time}")).at(*start_ms)
            }
            Blocker::Paused(paused) => self.paused(paused.as_ref()),
            Blocker::Phase => self.phase(),
            Blocker::Pace => self.pace(),
            Blocker::NotSelected => self.not_selected(),
            Blocker::NotNamed => self.not_named(),
            Blocker::Budget { label, value } => self.budget(label, value.as_deref()),
            Blocker::Frozen(freeze) => self.frozen(freeze),
            Blocker::Ended { reason } => self.over(*reason),
            Blocker::Revoked(end) => revoked::said(device, end),
            Blocker::Held => Finding::new(
                Why::Held,
                "an operator holds the device",
                format!("starts when it is let go: hoist device hold {device} --lift"),
            ),
            Blocker::NoSlot => {
                let says = format!("{} given to other devices", self.slots());
                let next = "never: the limit is used up; raise it by a new deployment";
                self.without_slot(Why::NoSlot, says, next)
            }
            Blocker::LineSought { again_ms } => {
                let again = self.unix_ms(*again_ms);
                let says = "the line below which as many devices as the limit start is being drawn";
                let next = format!(
                    "starts or not when the line is drawn, which takes moments; it is asked for \
                     again at {}",
                    format_time(again)
                );
                Finding::new(Why::LineSought, says, next).at(again)
            }
            Blocker::AboveLine => {
                let says = format!(
                    "its place in the order is above the line of the limit: {} given to devices \
                     before it",
                    self.slots()
                );
                let next = "never, unless a device before it proves incompatible; raise the limit \
                            by a new deployment";
                self.without_slot(Why::AboveLine, says, next)
            }
        }
    }

    /// Nobody starts anything.
    fn frozen(&self, freeze: &Freeze) -> Finding {
        let group = &self.case.deployment.group;
        let (what, lift) = match freeze.everything {
            true => ("everything".to_owned(), "hoist unfreeze".to_owned()),
            false => (format!("group {group}"), format!("hoist unfreeze {group}")),
        };
        let Frozen { at_ms, by } = &freeze.frozen;
        let says = format!("{what} is frozen since {}, by {by}", format_time(*at_ms));
        Finding::new(
            Why::Frozen,
            says,
            format!("starts when that is lifted: {lift}"),
        )
    }

    /// It obeys another group.
    fn elsewhere(&self, group: &GroupId) -> Finding {
        let Case {
            id,
            deployment,
            device,
            row,
            ..
        } = self.case;
        let theirs = &deployment.group;
        let was = row.past.iter().any(|stay| stay.group == *theirs);
        let history = if was_member_during(row, deployment) {
            format!("it left {theirs} after deployment {id} was created")
        } else if was_counted(self.around.lives, deployment) {
            format!("it was in {theirs} until it was removed, and was registered anew since")
        } else if was {
            format!("it was in {theirs}, but not during deployment {id}")
        } else {
            format!("it was never in {theirs}")
        };
        let next = match deployment.end {
            Some(_) if self.is_counted() => {
                "never: the deployment ended before the device had started".to_owned()
            }
            Some(_) => "never: the deployment is over, and was not this device's".to_owned(),
            None => format!("never, unless it joins: hoist device move {device} --group {theirs}"),
        };
        if *group == GroupId::unassigned() {
            let says = format!("the device is in no group; {history}");
            return Finding::new(Why::Unassigned, says, next);
        }
        let says = format!("the device obeys group {group}; {history}");
        Finding::new(Why::OtherGroup, says, next)
    }

    /// The deployment is over.
    fn over(&self, reason: Option<EndReason>) -> Finding {
        let Case {
            id,
            deployment,
            row,
            ..
        } = self.case;
        let end = deployment.end.as_ref();
        let time = end.map_or_else(String::new, |end| format!(" at {}", format_time(end.at_ms)));
        let (why, mut says) = match (deployment.state, reason) {
            (_, Some(EndReason::Superseded)) => (
                Why::Superseded,
                format!("deployment {id} was superseded{time} by a newer one"),
            ),
            (DeploymentState::Aborted, _) => {
                let by = end.and_then(|end| end.by.as_ref());
                let by = by.map_or_else(String::new, |by| format!(" by {by}"));
                let text = end.map_or("", |end| end.text.as_str());
                let text = match (text, reason) {
                    ("", None | Some(EndReason::Operator)) => String::new(),
                    ("", Some(reason)) => format!(": {}", reason.word()),
                    (text, _) => format!(": {text}"),
                };
                let says = format!("deployment {id} was aborted{time}{by}{text}");
                (Why::Aborted, says)
            }
            (_, reason) => {
                let reason = reason.map_or("", EndReason::word);
                let says = format!("deployment {id} is completed{time}: {reason}");
                (Why::Completed, says)
            }
        };
        if row.group == deployment.group && !self.is_counted() {
            says.push_str("; the device joined its group after that");
        }
        let next = match reason {
            Some(EndReason::DeviceLimit) => {
                "never: the limit is used up; raise it by a new deployment"
            }
            Some(EndReason::Superseded) => "never: what took its place reaches the device",
            Some(
                EndReason::Operator
                | EndReason::EndTime
                | EndReason::AllSuccessful
                | EndReason::Recovered
                | EndReason::Failures
                | EndReason::Conflict,
            )
            | None => "never: it is over; deploy again to reach this device",
        };
        Finding::new(why, says, next)
    }

    /// The limit lets others start; one that took its slot along may never be heard of.
    fn without_slot(&self, why: Why, says: String, next: &str) -> Finding {
        let Case { id, deployment, .. } = self.case;
        let Some(Taken { by, group, more }) = self.around.taken.get(&id) else {
            return Finding::new(why, says, next);
        };
        let left = match group {
            Some(group) => format!("left, and obeys group {group}"),
            None => "was removed".to_owned(),
        };
        let more = if *more { ", and so did others" } else { "" };
        let theirs = &deployment.group;
        let says = format!("{says}; {by} took its slot along when it {left}{more}");
        let next = format!(
            "never: {by} may have started, so that no other device gets its slot, and has it again \
             when it is back in {theirs}; to give it to another, deploy again after: hoist \
             deployment abort {id}"
        );
        Finding::new(why, says, next)
    }

    fn slots(&self) -> String {
        let slots = self.case.deployment.slots;
        match (slots, self.case.deployment.limit) {
            (1, Some(1)) => "the one slot of the limit is".to_owned(),
            (1, Some(limit)) => format!("1 of the {limit} slots of the limit is"),
            (_, Some(limit)) => format!("{slots} of the {limit} slots of the limit are"),
            // Without a limit nobody lacks a slot and nobody is above a line.
            (_, None) => "the slots are".to_owned(),
        }
    }
}
