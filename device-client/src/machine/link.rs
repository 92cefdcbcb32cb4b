//! Specs and sessions: what the device is told, and what it starts because of it (W2–W4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId};
use hoist_protocol::reason::Reason;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::{FinalResult, Rollback, Success, sentence};

use super::action::{Action, SpecRefusal};
use super::admit::{choose, is_valid, open_for_ms, until_open_ms};
use super::event::Verdict;
use super::install::SUPERSEDED;
use super::resync::ResyncAnswer;
use super::state::{Active, Link, Member, Work};
use super::turn::Turn;
use super::{Machine, Now, Starts};
use crate::job::{Cause, Job, Terms};
use crate::record::{Floor, Record};

impl Machine {
    pub(super) fn disconnected(&mut self) {
        self.link = Link::Offline;
        // Not started: only a spec of the next connection can list it again.
        if matches!(self.work, Work::Asking(_)) {
            self.work = Work::Idle;
        }
    }

    pub(super) fn device_spec(
        &mut self,
        spec: DeviceSpec,
        by: KeyId,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if self.is_replay_of_own(&spec) {
            out.push(Action::Warn(SpecRefusal::Replayed));
            return;
        }
        let first = matches!(self.link, Link::Joining);
        let moved = self.own.as_ref().is_none_or(|own| own.group != spec.group);
        if moved {
            self.forget_group(out);
        }
        let asked = self.device_resync.hear(spec.resync);
        if self.own.as_ref() != Some(&spec) || self.own_by != Some(by) {
            out.push(Action::KeepDeviceSpec);
        }
        let group = spec.group.clone();
        let before = self.own.replace(spec);
        self.own_by = Some(by);
        // Not started: a hold that comes meanwhile counts, and a permit that goes.
        if let (Work::Asking(wanted), Some(own)) = (&self.work, &self.own)
            && (own.holds(wanted.deployment) || !own.admits(wanted, &self.device))
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
            // What it was kept from may be over by now: the newest group spec says it.
            self.ask_again(out);
        } else {
            self.consider(now, out);
        }
        if first {
            self.told_in_session(out);
        }
    }

    /// Generations and resyncs are each group's own. What was the old group's is gone from
    /// the disk before the new spec is there: after a power cut between the two the same spec
    /// moves the device again, and no older spec of the new group is taken for a replay.
    fn forget_group(&mut self, out: &mut Vec<Action>) {
        let known = self.generation > Generation::default() || self.group_resync.is_known();
        self.generation = Generation::default();
        self.group_resync = ResyncAnswer::default();
        if known {
            self.persist(out);
        }
    }

    /// The device belongs to no group any more (W4): it starts nothing until another spec
    /// makes it a member again. What it has started it finishes.
    pub(super) fn removed(&mut self, out: &mut Vec<Action>) {
        if matches!(self.work, Work::Asking(_)) {
            self.work = Work::Idle;
        }
        if matches!(self.link, Link::Member(_)) {
            self.link = Link::Joining;
        }
        // Whoever asked was its group, or its spec.
        self.answer_ms = None;
        if let Some(own) = self.own.take() {
            let (generation, by) = (own.generation, self.own_by.take());
            let floor = Floor { generation, by };
            self.forgotten = Some(floor);
            out.push(Action::ForgetDeviceSpec(floor));
        }
    }

    /// True if its own spec lets it start what the one before did not.
    fn may_start_more_than(&self, before: &DeviceSpec) -> bool {
        let (Work::Idle, Link::Member(member), Some(own)) = (&self.work, &self.link, &self.own)
        else {
            return false;
        };
        let chosen = |own| choose(member.spec.as_ref()?, &self.device, own, &self.ring);
        let now = chosen(own);
        now.is_some() && now != chosen(before)
    }

    pub(super) fn group_spec(
        &mut self,
        spec: GroupSpec,
        by: KeyId,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if spec.generation < self.generation {
            out.push(Action::Warn(SpecRefusal::Replayed));
            return;
        }
        let Link::Member(member) = &mut self.link else {
            return;
        };
        let spread_ms = u64::from(spec.spread_s) * 1_000;
        let asked = self.group_resync.hear(spec.resync);
        let newer = spec.generation > self.generation;
        self.generation = spec.generation;
        self.signer = Some(by);
        let kept = self.ring.past.keep_listed(&spec.entries);
        member.spec = Some(spec);
        member.wake = None;
        member.warned = false;
        // What is listed stays remembered, whatever ends before the next spec (S13).
        if kept {
            out.push(Action::StoreOutcomes(self.ring.clone()));
        }
        // An older spec is refused after a power cut too (W2).
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
                    spec: Some(spec), ..
                }) => spec.entries.contains(wanted),
                _ => false,
            };
            if listed {
                return;
            }
            self.work = Work::Idle;
        }
        self.consider(now, out);
    }

    /// Takes the spec's word away and asks for it again: it may have changed while waiting.
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
                    spec: Some(spec), ..
                }),
                Some(own),
            ) => choose(spec, &self.device, own, &self.ring).is_some(),
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
        let Some(spec) = &member.spec else { return };
        let Some(entry) = choose(spec, &self.device, own, &self.ring) else {
            return;
        };
        if !is_valid(spec, now.unix_ms) {
            if !core::mem::replace(&mut member.warned, true) {
                out.push(Action::Warn(SpecRefusal::Stale));
            }
            return;
        }
        let closed_ms = match entry.policy.download_ahead {
            true => 0,
            false => until_open_ms(&entry.policy.windows, now.unix_ms),
        };
        let open_ms = now.unix_ms + closed_ms;
        let due_ms = match u64::from(spec.spread_s) * 1_000 {
            // Whoever waits for a window, for whatever reason, does so with many others: all of
            // them begin within it, and not as one when it opens.
            spread_ms if spread_ms > 0 && (closed_ms > 0 || !member.waited) => {
                let within_ms = match closed_ms {
                    0 => spread_ms,
                    _ => spread_ms.min(open_for_ms(&entry.policy.windows, open_ms)),
                };
                let turn = Turn::of(self.turn, entry, open_ms, within_ms, now);
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
        let entry = entry.clone();
        self.work = Work::Asking(entry.clone());
        out.push(Action::FetchManifest(entry));
    }

    pub(super) fn manifest(
        &mut self,
        of: (DeploymentId, ReleaseId),
        verdict: Verdict,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Work::Asking(entry) = &self.work else {
            return;
        };
        if (entry.deployment, entry.release) != of {
            return;
        }
        let verdict = match verdict {
            Verdict::Already if entry.policy.overrides.reinstall => Verdict::Fits,
            verdict => verdict,
        };
        // The manifest, or a proof, may have taken longer than the spec is valid (W2), or
        // than something may be begun.
        let (stale, spread_s) = match &self.link {
            Link::Member(Member {
                spec: Some(spec), ..
            }) => (!is_valid(spec, now.unix_ms), spec.spread_s),
            _ => (false, 0),
        };
        let policy = &entry.policy;
        let open = policy.download_ahead || until_open_ms(&policy.windows, now.unix_ms) == 0;
        let may_begin = self.starts == Starts::Allowed && open;
        if stale || (verdict == Verdict::Fits && !may_begin) {
            self.work = Work::Idle;
            return self.consider(now, out);
        }
        let own = self.own.as_ref();
        let round = own.map_or(entry.round, |own| own.round(entry));
        let job = Job::new(entry, round, now.unix_ms);
        // An older agent may have to finish what is begun, and would not know them.
        let terms = match self.format {
            Record::WITH_TERMS.. => Terms::of(policy, spread_s),
            _ => Terms::default(),
        };
        self.begin(Active::new(job, terms), verdict, out);
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
            self.begin(Active::new(job, Terms::default()), verdict, out);
        }
    }

    fn begin(&mut self, active: Active, verdict: Verdict, out: &mut Vec<Action>) {
        let release = active.job.release;
        let allow_downgrade = active.job.allow_downgrade;
        self.work = Work::Active(Box::new(active));
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

    /// True if the spec lists a newer deployment in the place of the running one.
    pub(super) fn is_superseded(&self) -> bool {
        let (
            Work::Active(active),
            Link::Member(Member {
                spec: Some(spec), ..
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
        let mut entries = spec.entries.iter();
        !entries.any(|entry| entry.deployment == running)
            && choose(spec, &self.device, own, &self.ring)
                .is_some_and(|entry| entry.deployment > running)
    }
}
