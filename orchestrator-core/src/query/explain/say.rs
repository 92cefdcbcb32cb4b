//! The sentences of an explanation: what decided, and what happens next.

use hoist_protocol::code::Code;
use hoist_protocol::reason::{Cure, Reason};
use hoist_protocol::spec::Confirm;
use hoist_protocol::status::{Step, Success};

use crate::model::now::Now;
use crate::model::row::{InstanceRow, RecordRow, RecordState, Refusal};
use crate::model::time::format_time;
use crate::query::explain::failed::cause;
use crate::query::explain::said::Finding;
use crate::query::explain::{DeviceContext, Waits};
use crate::reply::Why;
use crate::rules::device::contact;
use crate::rules::rollout::admission::{Case, round_of};
use crate::rules::rollout::membership::{is_counted, was_counted};

mod blocked;
mod held_back;

/// Everything that is looked at.
pub(super) struct ExplainContext<'a> {
    pub(super) case: Case<'a>,
    pub(super) around: DeviceContext<'a>,
    pub(super) instance: &'a InstanceRow,
    pub(super) now: Now,
}

impl ExplainContext<'_> {
    /// True if the device is among those whom the deployment counts (S5), in this life or before.
    pub(super) fn is_counted(&self) -> bool {
        let Case {
            deployment, row, ..
        } = self.case;
        is_counted(row, deployment) || was_counted(self.around.lives, deployment)
    }

    /// Something a device that may start still waits for.
    pub(super) fn waits(&self, waits: Waits) -> Finding {
        let device = self.case.device;
        match waits {
            Waits::Turn { other, at_work } => {
                let says = match at_work {
                    true => format!("it carries out deployment {other}, one at a time"),
                    false if other > self.case.id => {
                        format!("deployment {other} comes first: it is urgent")
                    }
                    false => format!("deployment {other} comes first: the lowest number does"),
                };
                let next = format!("starts when it has ended deployment {other}");
                Finding::new(Why::AnotherFirst, says, next)
            }
            Waits::Published => Finding::new(
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
                let away = Finding::new(why, says, "starts when it connects");
                super::trouble::beside(away, self.around.trouble, device)
            }
            Waits::Sound(trouble) => super::trouble::said(trouble, device),
            Waits::KnownKey => Finding::new(
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
                Finding::new(Why::ReportRefused, says, next)
            }
            Waits::Window => self.window(),
        }
    }

    /// Nothing keeps the device.
    pub(super) fn starts(&self) -> Finding {
        let Case {
            id,
            deployment,
            row,
            record,
            ..
        } = self.case;
        let next = match deployment.spread_s {
            0 => "starts as soon as it has read its spec".to_owned(),
            spread => format!("starts within {spread} s of reading its spec"),
        };
        let says = match record {
            Some(_) => format!(
                "it failed before, and is to begin again in round {}",
                round_of(id, deployment, row)
            ),
            None => "nothing keeps it from starting".to_owned(),
        };
        Finding::new(Why::Starts, says, next)
    }

    /// It has a record in the round at hand.
    fn begun(&self, record: &RecordRow) -> Finding {
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
                Finding::new(Why::Successful, says, DONE)
            }
            RecordState::Successful(Success::Already) => {
                let says = format!("everything of {release} was there already, no script ran");
                Finding::new(Why::AlreadyThere, says, DONE)
            }
            RecordState::Failed(failure) if failure.reason == Reason::Incompatible => {
                let says = format!("the device says that {release} does not fit it");
                let next = "never: deploy a release that is made for it";
                Finding::new(Why::Incompatible, says, next)
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
                Finding::new(Why::Failed, says, next)
            }
            RecordState::TimedOut => {
                let says = format!(
                    "it was asked and did not answer, and counts as failed since {since}, \
                     provisionally"
                );
                let next = format!("its own word counts when it is back; {}", self.again());
                Finding::new(Why::TimedOut, says, next)
            }
        }
    }

    /// The way in which a failed device begins again, if it can (S13).
    fn again(&self) -> String {
        let Case {
            id,
            deployment,
            device,
            row,
            ..
        } = self.case;
        if !deployment.state.is_active() {
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
    fn at_work(&self, record: &RecordRow, step: Step) -> Finding {
        let attempt = format!("attempt {}", record.attempt);
        let since = format_time(record.updated_ms);
        let fails = |at_ms: u64| {
            format!(
                "counts as failed, provisionally, at {} if it does not answer",
                format_time(at_ms)
            )
        };
        let settled_ms = contact::settled_ms(self.instance, self.now);
        let due_ms = record.due_ms.map_or(settled_ms, |due| due.max(settled_ms));
        let due = self.unix_ms(due_ms.max(self.now.uptime_ms));
        if record.asked {
            let says = format!(
                "its time is over and it was asked, {} ({}, {attempt})",
                self.seen(),
                step.word()
            );
            return Finding::new(Why::Asked, says, fails(due)).at(due);
        }
        let failed = due.saturating_add(self.now.patience.grace_ms);
        let asked = format!("is asked at {} and {}", format_time(due), fails(failed));
        let rebooting = step == Step::Rebooting;
        let lost = contact::is_lost(self.case.row, self.instance, self.now) && !rebooting;
        if record.lost || lost {
            let says = format!(
                "no contact with the device, {} ({}, {attempt})",
                self.seen(),
                step.word()
            );
            let next = format!("goes on when it is back; {asked}");
            return Finding::new(Why::ContactLost, says, next).at(due);
        }
        if step.is_retrying() {
            let says = match step {
                Step::RetryingAfter(cause) => {
                    format!("it waits to try again since {since} ({attempt}): {cause}")
                }
                _ => format!("it waits to try again since {since} ({attempt})"),
            };
            let next = format!("tries again by itself; {asked}");
            return Finding::new(Why::Retrying, self.unbelieved(says), next).at(due);
        }
        if step == Step::Downloaded && self.opens_ms().is_some() {
            return self.window_ahead(&since);
        }
        // It answers: only a device that falls silent counts as failed. Its own deadline lets it
        // begin nothing more, and what runs ends by itself.
        let asked = format!(
            "is asked at {} whether it still works, and does not count as failed as long as it answers",
            format_time(due)
        );
        let says = format!("it is at work: {} since {since}, {attempt}", step.word());
        let confirm = match self.case.deployment.policy.confirm {
            Confirm::Verify => String::new(),
            Confirm::Online { within_s } => {
                format!(" (also when it does not come online with it within {within_s} s)")
            }
        };
        let next = match self.case.row.group == self.case.deployment.group {
            true => format!("finishes or rolls back{confirm}; {asked}"),
            false => format!(
                "finishes or rolls back and then obeys group {}; {asked}",
                self.case.row.group
            ),
        };
        Finding::new(Why::InProgress, self.unbelieved(says), next).at(due)
    }

    /// The same, with what keeps the device's outcomes from being believed.
    fn unbelieved(&self, says: String) -> String {
        let row = self.case.row;
        match row.offered_key.filter(|_| row.revoked().is_none()) {
            None => says,
            Some(offered) => format!(
                "{says}; it shows the key {} in the place of the pinned one ({}): what it says that \
                 it ended does not count until an operator approves its key",
                offered.fingerprint(),
                Code::Reenrol
            ),
        }
    }

    fn seen(&self) -> String {
        let seen = self.case.row.last_seen_ms;
        seen.map_or_else(
            || "never seen".to_owned(),
            |seen| format!("last seen at {}", format_time(seen)),
        )
    }

    /// A time to come of the uptime clock, should the server stay connected.
    fn unix_ms(&self, uptime_ms: u64) -> u64 {
        let wait_ms = uptime_ms.saturating_sub(self.now.uptime_ms);
        self.now.unix_ms.saturating_add(wait_ms)
    }
}
