//! Heads and sessions: what the device is told, and what it starts because of it (W2–W4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{FinalResult, Rollback, Success, sentence};

use super::action::{Action, HeadRefusal};
use super::admit::{choose, is_valid, open_for_ms, until_open_ms};
use super::event::Verdict;
use super::install::SUPERSEDED;
use super::roll::Roll;
use super::state::{Active, Link, Member, Work};
use super::turn::Turn;
use super::{Machine, Now, Starts};
use crate::job::{Cause, Job};

impl Machine {
    pub(super) fn disconnected(&mut self) {
        self.link = Link::Offline;
        // Not started: only a head of the next connection can list it again.
        if matches!(self.work, Work::Asking(_)) {
            self.work = Work::Idle;
        }
    }

    pub(super) fn device_head(&mut self, head: DeviceHead, now: Now, out: &mut Vec<Action>) {
        let replaced = |own: &DeviceHead| head.generation < own.generation;
        let forgotten = self.forgotten.is_some_and(|at| head.generation <= at);
        if forgotten || self.own.as_ref().is_some_and(replaced) {
            out.push(Action::Warn(HeadRefusal::Replayed));
            return;
        }
        let first = matches!(self.link, Link::Joining);
        let moved = self.own.as_ref().is_none_or(|own| own.group != head.group);
        if moved {
            self.forget_group(out);
        }
        let asked = self.device_roll.hear(head.roll_call);
        if self.own.as_ref() != Some(&head) {
            out.push(Action::KeepDeviceHead);
        }
        let group = head.group.clone();
        let before = self.own.replace(head);
        // Not started: a hold that comes meanwhile counts.
        if let (Work::Asking(wanted), Some(own)) = (&self.work, &self.own)
            && own.holds(wanted.deployment)
        {
            self.work = Work::Idle;
        }
        if first {
            self.own_status_is_over(out);
            self.report_again(out);
            out.push(Action::PublishInfo(self.info_of_session()));
        }
        if asked {
            self.answer_alone(out);
        }
        if first || moved {
            self.link = Link::Member(Member::default());
            if matches!(self.work, Work::Asking(_)) {
                self.work = Work::Idle;
            }
            out.push(Action::Subscribe(group));
        } else if before.is_some_and(|before| self.may_start_more_than(&before)) {
            // What it was kept from may be over by now: the newest group head says it.
            self.ask_again(out);
        } else {
            self.consider(now, out);
        }
    }

    /// Generations and roll calls are each group's own. What was the old group's is gone from
    /// the disk before the new head is there: after a power cut between the two the same head
    /// moves the device again, and no older head of the new group is taken for a replay.
    fn forget_group(&mut self, out: &mut Vec<Action>) {
        let known = self.generation > Generation::default() || self.group_roll.is_known();
        self.generation = Generation::default();
        self.group_roll = Roll::default();
        if known {
            self.persist(out);
        }
    }

    /// The device belongs to no group any more (W4): it starts nothing until another head
    /// makes it a member again. What it has started it finishes.
    pub(super) fn removed(&mut self, out: &mut Vec<Action>) {
        if matches!(self.work, Work::Asking(_)) {
            self.work = Work::Idle;
        }
        if matches!(self.link, Link::Member(_)) {
            self.link = Link::Joining;
        }
        // Whoever asked was its group, or its head.
        self.answer_ms = None;
        if let Some(own) = self.own.take() {
            self.forgotten = Some(own.generation);
            out.push(Action::ForgetDeviceHead(own.generation));
        }
    }

    /// True if its own head lets it start what the one before did not.
    fn may_start_more_than(&self, before: &DeviceHead) -> bool {
        let (Work::Idle, Link::Member(member), Some(own)) = (&self.work, &self.link, &self.own)
        else {
            return false;
        };
        let chosen = |own| choose(member.head.as_ref()?, &self.device, own, &self.ring);
        let now = chosen(own);
        now.is_some() && now != chosen(before)
    }

    pub(super) fn group_head(&mut self, head: GroupHead, now: Now, out: &mut Vec<Action>) {
        if head.generation < self.generation {
            out.push(Action::Warn(HeadRefusal::Replayed));
            return;
        }
        let Link::Member(member) = &mut self.link else {
            return;
        };
        let spread_ms = u64::from(head.spread_s) * 1_000;
        let asked = self.group_roll.hear(head.roll_call);
        let newer = head.generation > self.generation;
        self.generation = head.generation;
        let kept = self.ring.past.keep_listed(&head.notices);
        member.head = Some(head);
        member.wake = None;
        member.warned = false;
        // What is listed stays remembered, whatever ends before the next head (S13).
        if kept {
            out.push(Action::StoreOutcomes(self.ring.clone()));
        }
        // An older head is refused after a power cut too (W2).
        if newer {
            self.persist(out);
        }
        if asked {
            match spread_ms {
                0 => self.answer_with_group(out),
                spread_ms => self.answer_ms = Some(now.unix_ms + now.random % spread_ms),
            }
        }
        self.settle_what_was_lost(out);
        self.end_if_superseded(out);
        if let Work::Asking(wanted) = &self.work {
            let listed = match &self.link {
                Link::Member(Member {
                    head: Some(head), ..
                }) => head.notices.contains(wanted),
                _ => false,
            };
            if listed {
                return;
            }
            self.work = Work::Idle;
        }
        self.consider(now, out);
    }

    /// Takes the head's word away and asks for it again: it may have changed while waiting.
    pub(super) fn ask_again(&mut self, out: &mut Vec<Action>) {
        if let (Link::Member(member), Some(own)) = (&mut self.link, &self.own) {
            *member = Member {
                waited: true,
                ..Member::default()
            };
            out.push(Action::Subscribe(own.group.clone()));
        }
    }

    /// After work: what waited meanwhile may not be wanted any more. When nothing waited,
    /// asking would only cost bytes.
    pub(super) fn ask_if_something_waited(&mut self, out: &mut Vec<Action>) {
        let waited = match (&self.link, &self.own) {
            (
                Link::Member(Member {
                    head: Some(head), ..
                }),
                Some(own),
            ) => choose(head, &self.device, own, &self.ring).is_some(),
            _ => false,
        };
        if waited {
            self.ask_again(out);
        }
    }

    /// Begins what is listed, admitted and due, if nothing is at work.
    fn consider(&mut self, now: Now, out: &mut Vec<Action>) {
        let (Work::Idle, Starts::Allowed, Some(own)) = (&self.work, self.starts, &self.own) else {
            return;
        };
        let Link::Member(member) = &mut self.link else {
            return;
        };
        let Some(head) = &member.head else { return };
        let Some(notice) = choose(head, &self.device, own, &self.ring) else {
            return;
        };
        if !is_valid(head, now.unix_ms) {
            if !core::mem::replace(&mut member.warned, true) {
                out.push(Action::Warn(HeadRefusal::Stale));
            }
            return;
        }
        let closed_ms = until_open_ms(&notice.policy.windows, now.unix_ms);
        let open_ms = now.unix_ms + closed_ms;
        let due_ms = match u64::from(head.spread_s) * 1_000 {
            // Whoever waits for a window, for whatever reason, does so with many others: all of
            // them begin within it, and not as one when it opens.
            spread_ms if spread_ms > 0 && (closed_ms > 0 || !member.waited) => {
                let within_ms = match closed_ms {
                    0 => spread_ms,
                    _ => spread_ms.min(open_for_ms(&notice.policy.windows, open_ms)),
                };
                let turn = Turn::of(self.turn, notice, open_ms, within_ms, now);
                self.turn = Some(turn);
                turn.due_ms
            }
            _ => open_ms,
        };
        if due_ms > now.unix_ms {
            member.wake = Some(due_ms);
            return;
        }
        member.waited = false;
        let notice = notice.clone();
        self.work = Work::Asking(notice.clone());
        out.push(Action::FetchManifest(notice));
    }

    pub(super) fn manifest(
        &mut self,
        of: (DeploymentId, ReleaseId),
        verdict: Verdict,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Work::Asking(notice) = &self.work else {
            return;
        };
        if (notice.deployment, notice.release) != of {
            return;
        }
        let verdict = match verdict {
            Verdict::Already if notice.policy.overrides.reinstall => Verdict::Fits,
            verdict => verdict,
        };
        // The manifest, or a proof, may have taken longer than the head is valid (W2), or
        // than something may be begun.
        let stale = match &self.link {
            Link::Member(Member {
                head: Some(head), ..
            }) => !is_valid(head, now.unix_ms),
            _ => false,
        };
        let closed = until_open_ms(&notice.policy.windows, now.unix_ms) > 0;
        let may_begin = self.starts == Starts::Allowed && !closed;
        if stale || (verdict == Verdict::Fits && !may_begin) {
            self.work = Work::Idle;
            return self.consider(now, out);
        }
        let own = self.own.as_ref();
        let round = own.map_or(notice.round, |own| own.round(notice));
        let job = Job::new(notice, round, now.unix_ms);
        self.begin(job, verdict, out);
    }

    /// Somebody at the device starts something; a started deployment comes first.
    pub(super) fn apply(
        &mut self,
        release: ReleaseId,
        verdict: Verdict,
        allow_downgrade: bool,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if !self.is_working() {
            let job = Job::local(release, allow_downgrade, now.unix_ms);
            self.begin(job, verdict, out);
        }
    }

    fn begin(&mut self, job: Job, verdict: Verdict, out: &mut Vec<Action>) {
        let release = job.release;
        let allow_downgrade = job.allow_downgrade;
        self.work = Work::Active(Box::new(Active::new(job)));
        match verdict {
            Verdict::Fits => {
                out.push(Action::KeepRelease(release));
                self.persist(out);
                self.report(out);
                out.push(Action::Download { allow_downgrade });
            }
            Verdict::Already => self.end(FinalResult::Successful(Success::Already), out),
            Verdict::Refused { reason, detail } => {
                if let Some(active) = self.active_mut() {
                    active.output = sentence(&detail);
                }
                self.end_failed(Cause::plain(reason), Rollback::NotNeeded, out);
            }
        }
    }

    /// S11: while nothing is installed, a newer deployment in the place of this one ends
    /// it. Absent and replaced look alike to a device; ending early harms nothing then.
    fn end_if_superseded(&mut self, out: &mut Vec<Action>) {
        if self.job().is_some_and(Job::is_untouched) && self.is_superseded() {
            out.push(Action::CancelDownload);
            self.says(SUPERSEDED);
            self.end_failed(Cause::plain(Reason::Superseded), Rollback::NotNeeded, out);
        }
    }

    /// True if the head lists a newer deployment in the place of the running one.
    pub(super) fn is_superseded(&self) -> bool {
        let (
            Work::Active(active),
            Link::Member(Member {
                head: Some(head), ..
            }),
            Some(own),
        ) = (&self.work, &self.link, &self.own)
        else {
            return false;
        };
        if active.job.is_local() {
            return false;
        }
        let running = active.job.deployment;
        let mut notices = head.notices.iter();
        !notices.any(|notice| notice.deployment == running)
            && choose(head, &self.device, own, &self.ring)
                .is_some_and(|notice| notice.deployment > running)
    }
}
