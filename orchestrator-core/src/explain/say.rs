//! The sentences of an explanation: what decided, and what happens next.

use hoist_protocol::code::Code;
use hoist_protocol::id::GroupId;
use hoist_protocol::reason::{Cure, Reason};
use hoist_protocol::status::{Step, Success};

use super::failed::cause;
use super::{Around, Taken, Waits};
use crate::admission::{Bar, Case, round_of};
use crate::contact;
use crate::input::Now;
use crate::membership::{is_counted, was_member_during};
use crate::reply::{DeploymentState, Why};
use crate::row::{EndReason, MetaRow, RecordRow, RecordState, Refusal};
use crate::time::format_time;

/// Everything that is looked at.
pub(super) struct Scene<'a> {
    pub(super) case: Case<'a>,
    pub(super) around: Around<'a>,
    pub(super) meta: &'a MetaRow,
    pub(super) now: Now,
}

/// What one failing rule comes to.
pub(super) struct Said {
    pub(super) why: Why,
    pub(super) says: String,
    pub(super) next: String,
    /// When that is, in Unix ms.
    pub(super) at_ms: Option<u64>,
}

impl Said {
    pub(super) fn new(why: Why, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            why,
            says: says.into(),
            next: next.into(),
            at_ms: None,
        }
    }

    fn at(self, at_ms: u64) -> Self {
        Self {
            at_ms: Some(at_ms),
            ..self
        }
    }
}

impl Scene<'_> {
    /// A failing rule of admission.
    pub(super) fn barred(&self, bar: &Bar) -> Said {
        let Case { id, device, .. } = self.case;
        match bar {
            Bar::Begun => match self.case.record {
                Some(record) => self.begun(record),
                // Without a record nothing has begun.
                None => self.starts(),
            },
            Bar::NotMember { group } => self.elsewhere(group),
            Bar::Scheduled { start_ms } => {
                let time = format_time(*start_ms);
                let says = format!("deployment {id} is scheduled for {time}");
                Said::new(Why::Scheduled, says, format!("is listed at {time}")).at(*start_ms)
            }
            Bar::Ended { reason } => self.over(*reason),
            Bar::Held => Said::new(
                Why::Held,
                "an operator holds the device",
                format!("starts when it is let go: hoist device hold {device} --lift"),
            ),
            Bar::NoSlot => {
                let says = format!("{} given to other devices", self.slots());
                let next = "never: the limit is used up; raise it by a new deployment";
                self.without_slot(Why::NoSlot, says, next)
            }
            Bar::LineSought => {
                let again = self.case.deployment.seek_due_ms.unwrap_or_default();
                let again = self.unix_ms(again);
                let says = "the line below which as many devices as the limit start is being drawn";
                let next = format!(
                    "starts or not when the line is drawn, which takes moments; it is asked for \
                     again at {}",
                    format_time(again)
                );
                Said::new(Why::LineSought, says, next).at(again)
            }
            Bar::AboveLine => {
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

    /// Something a device that may start still waits for.
    pub(super) fn waits(&self, waits: Waits) -> Said {
        let device = self.case.device;
        match waits {
            Waits::Turn { other, at_work } => {
                let says = match at_work {
                    true => format!("it carries out deployment {other}, one at a time"),
                    false => format!("deployment {other} comes first: the lowest number does"),
                };
                let next = format!("starts when it has ended deployment {other}");
                Said::new(Why::AnotherFirst, says, next)
            }
            Waits::Published => Said::new(
                Why::NotPublished,
                "what tells the device is not yet known to be at the broker",
                "is published, again if need be, as soon as the broker takes it",
            ),
            Waits::Reachable { known_away } => {
                let seen = self.seen();
                let (why, says) = match known_away {
                    true => (Why::Offline, format!("the device is offline, {seen}")),
                    false => (
                        Why::PresenceUnknown,
                        format!("nothing was heard of the device since the broker started, {seen}"),
                    ),
                };
                let away = Said::new(why, says, "starts when it connects");
                super::trouble::beside(away, self.around.trouble, device)
            }
            Waits::Sound(trouble) => super::trouble::said(trouble, device),
            Waits::KnownKey => Said::new(
                Why::KeyNotApproved,
                format!(
                    "the device shows another key than the pinned one ({})",
                    Code::Reenrol
                ),
                format!(
                    "what {device} says that it ended does not count until an operator approves its key"
                ),
            ),
            Waits::Heeded(refusal) => {
                let Refusal { code, .. } = refusal;
                let says = format!(
                    "its last report was refused at {}: {code}, {}; {} of them so far",
                    format_time(refusal.at_ms),
                    code.title(),
                    refusal.count
                );
                let next = format!(
                    "may have started, and its next report says so; {}",
                    code.hint()
                );
                Said::new(Why::ReportRefused, says, next)
            }
        }
    }

    /// Nothing keeps the device.
    pub(super) fn starts(&self) -> Said {
        let Case {
            id,
            deployment,
            row,
            record,
            ..
        } = self.case;
        let next = match deployment.spread_s {
            0 => "starts as soon as it has read its head".to_owned(),
            spread => format!("starts within {spread} s of reading its head"),
        };
        let says = match record {
            Some(_) => format!(
                "it failed before, and is to begin again in round {}",
                round_of(id, deployment, row)
            ),
            None => "nothing keeps it from starting".to_owned(),
        };
        Said::new(Why::Starts, says, next)
    }

    /// It has a record in the round at hand.
    fn begun(&self, record: &RecordRow) -> Said {
        const DONE: &str = "nothing: it is done";
        let release = &self.case.deployment.release_text;
        let since = format_time(record.updated_ms);
        match &record.state {
            RecordState::InProgress(step) => self.at_work(record, *step),
            RecordState::Successful(Success::Installed) => {
                let late = match record.late {
                    true => ", after it had counted as failed",
                    false => "",
                };
                let says = format!("it was successful at {since}{late}");
                Said::new(Why::Successful, says, DONE)
            }
            RecordState::Successful(Success::Already) => {
                let says = format!("everything of {release} was there already, no script ran");
                Said::new(Why::AlreadyThere, says, DONE)
            }
            RecordState::Failed(failure) if failure.reason == Reason::Incompatible => {
                let says = format!("the device says that {release} does not fit it");
                let next = "never: deploy a release that is made for it";
                Said::new(Why::Incompatible, says, next)
            }
            RecordState::Failed(failure) => {
                let says = format!(
                    "it failed at {since} in round {}: {}, rollback {}",
                    record.round,
                    cause(failure),
                    failure.rollback.word()
                );
                let next = match failure.reason.cure() {
                    Cure::Retry => self.again(),
                    Cure::First(what) => format!("{what}; it {}", self.again()),
                    Cure::Another(what) => format!("never in this deployment: {what}"),
                };
                Said::new(Why::Failed, says, next)
            }
            RecordState::TimedOut => {
                let says = format!(
                    "it was asked and did not answer, and counts as failed since {since}, \
                     provisionally"
                );
                let next = format!("its own word counts when it is back; {}", self.again());
                Said::new(Why::TimedOut, says, next)
            }
        }
    }

    /// How what failed begins again, if it can (S13).
    fn again(&self) -> String {
        let Case {
            id,
            deployment,
            device,
            row,
            ..
        } = self.case;
        if deployment.state != DeploymentState::Active {
            return "never in this deployment, which is over; deploy again".to_owned();
        }
        if row.group != deployment.group {
            let group = &row.group;
            return format!("never in this deployment, since it obeys group {group}");
        }
        if row.holds.contains(&id) {
            return "never in this deployment, in which it has no slot".to_owned();
        }
        format!("begins again with: hoist deployment retry {id} --device {device}")
    }

    /// It is at work: S6, S7.
    fn at_work(&self, record: &RecordRow, step: Step) -> Said {
        let attempt = format!("attempt {}", record.attempt);
        let since = format_time(record.updated_ms);
        let fails = |at_ms: u64| {
            format!(
                "counts as failed, provisionally, at {} if it does not answer",
                format_time(at_ms)
            )
        };
        let settled_ms = contact::settled_ms(self.meta, self.now);
        let due_ms = record.due_ms.unwrap_or_default().max(settled_ms);
        let due = self.unix_ms(due_ms.max(self.now.attended_ms));
        if record.asked {
            let says = format!(
                "its time is over and it was asked, {} ({}, {attempt})",
                self.seen(),
                step.word()
            );
            return Said::new(Why::Asked, says, fails(due)).at(due);
        }
        let failed = due.saturating_add(self.now.patience.grace_ms);
        let asked = format!("is asked at {} and {}", format_time(due), fails(failed));
        let rebooting = step == Step::Rebooting;
        let lost = contact::is_lost(self.case.row, self.meta, self.now) && !rebooting;
        if record.lost || lost {
            let says = format!(
                "no contact with the device, {} ({}, {attempt})",
                self.seen(),
                step.word()
            );
            let next = format!("goes on when it is back; {asked}");
            return Said::new(Why::ContactLost, says, next).at(due);
        }
        if step.is_retrying() {
            let says = match step {
                Step::RetryingAfter(cause) => {
                    format!("it waits to try again since {since} ({attempt}): {cause}")
                }
                _ => format!("it waits to try again since {since} ({attempt})"),
            };
            let next = format!("tries again by itself; {asked}");
            return Said::new(Why::Retrying, says, next).at(due);
        }
        let says = format!("it is at work: {} since {since}, {attempt}", step.word());
        let next = match self.case.row.group == self.case.deployment.group {
            true => format!("finishes or rolls back; {asked}"),
            false => format!(
                "finishes or rolls back and then obeys group {}; {asked}",
                self.case.row.group
            ),
        };
        Said::new(Why::InProgress, says, next).at(due)
    }

    /// It obeys another group.
    fn elsewhere(&self, group: &GroupId) -> Said {
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
        } else if was {
            format!("it was in {theirs}, but not during deployment {id}")
        } else {
            format!("it was never in {theirs}")
        };
        let next = match deployment.end {
            Some(_) => "never: the deployment is over, and was not this device's".to_owned(),
            None => format!("never, unless it joins: hoist device move {device} --group {theirs}"),
        };
        if *group == GroupId::unassigned() {
            let says = format!("the device is in no group; {history}");
            return Said::new(Why::Unassigned, says, next);
        }
        let says = format!("the device obeys group {group}; {history}");
        Said::new(Why::OtherGroup, says, next)
    }

    /// The deployment is over.
    fn over(&self, reason: EndReason) -> Said {
        let Case {
            id,
            deployment,
            row,
            ..
        } = self.case;
        let end = deployment.end.as_ref();
        let time = end.map_or_else(String::new, |end| format!(" at {}", format_time(end.at_ms)));
        let (why, mut says) = match (deployment.state, reason) {
            (_, EndReason::Superseded) => (
                Why::Superseded,
                format!("deployment {id} was superseded{time} by a newer one"),
            ),
            (DeploymentState::Aborted, _) => {
                let by = end.and_then(|end| end.by.as_ref());
                let by = by.map_or_else(String::new, |by| format!(" by {by}"));
                let text = end.map_or("", |end| end.text.as_str());
                let text = match (text, reason) {
                    ("", EndReason::Operator) => String::new(),
                    ("", reason) => format!(": {}", reason.word()),
                    (text, _) => format!(": {text}"),
                };
                let says = format!("deployment {id} was aborted{time}{by}{text}");
                (Why::Aborted, says)
            }
            (_, reason) => {
                let says = format!("deployment {id} is completed{time}: {}", reason.word());
                (Why::Completed, says)
            }
        };
        if row.group == deployment.group && !is_counted(row, deployment) {
            says.push_str("; the device joined its group after that");
        }
        let next = match reason {
            EndReason::DeviceLimit => "never: the limit is used up; raise it by a new deployment",
            EndReason::Superseded => "never: what took its place reaches the device",
            EndReason::Operator
            | EndReason::EndTime
            | EndReason::AllSuccessful
            | EndReason::Conflict => "never: it is over; deploy again to reach this device",
        };
        Said::new(why, says, next)
    }

    /// The limit lets others start; one that took its slot along may never be heard of.
    fn without_slot(&self, why: Why, says: String, next: &str) -> Said {
        let Case { id, deployment, .. } = self.case;
        let Some(Taken { by, group, more }) = self.around.taken.get(&id) else {
            return Said::new(why, says, next);
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
        Said::new(why, says, next)
    }

    fn slots(&self) -> String {
        let limit = self.case.deployment.limit.unwrap_or_default();
        let slots = self.case.deployment.slots;
        match (slots, limit) {
            (1, 1) => "the one slot of the limit is".to_owned(),
            (1, _) => format!("1 of the {limit} slots of the limit is"),
            _ => format!("{slots} of the {limit} slots of the limit are"),
        }
    }

    fn seen(&self) -> String {
        let seen = self.case.row.last_seen_ms;
        seen.map_or_else(
            || "never seen".to_owned(),
            |seen| format!("last seen at {}", format_time(seen)),
        )
    }

    /// A time to come of the attended clock, should the server stay connected.
    fn unix_ms(&self, attended_ms: u64) -> u64 {
        let wait_ms = attended_ms.saturating_sub(self.now.attended_ms);
        self.now.unix_ms.saturating_add(wait_ms)
    }
}
