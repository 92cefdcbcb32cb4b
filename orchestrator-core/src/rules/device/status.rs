//! Statuses become records and counters. Records order by (round, attempt, seq); a
//! reported final outcome stands for its round (S13) and is counted once (S15); what the
//! device says of itself beats what was inferred (S7).

use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq, Shard};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Progress};
use hoist_protocol::topic::View;

use crate::model::counter::{self, put_record};
use crate::model::effect::{Effect, Sender};
use crate::model::error::Code;
use crate::model::evidence::{Delivered, SignatureEvidence};
use crate::model::key::{
    CounterKey, DeploymentKey, DeviceKey, ForgottenKey, OpenedKey, RecordKey, RowKey,
};
use crate::model::now::Mode;
use crate::model::row::{DeploymentRow, DeviceRow, RecordRow, RecordState};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::deployment::end::{Change, complete_if_due};
use crate::rules::deployment::numbers;
use crate::rules::device::record::{ended, move_timer, timeout_ms};
use crate::rules::device::refusal::{counts_again, rejected, unverified};
use crate::rules::device::resync::ask_resync;
use crate::rules::device::{contact, doubt};
use crate::rules::recovery;
use crate::rules::rollout::admission::{own_round, round_of};
use crate::rules::rollout::limit;
use crate::rules::rollout::membership::{is_counted, may_have_obeyed};

/// Takes a device's status in.
pub(crate) fn merge(
    ctx: &mut Ctx,
    device: &DeviceId,
    status: &DeviceStatus,
    (evidence, delivered): (SignatureEvidence, Delivered),
) -> Result<(), Undecided> {
    let Some(mut row) = ctx.txn.read(&DeviceKey(device.clone()))? else {
        // bad-inputs row 24
        ctx.effects.push(rejected(Code::Unknown, device, None));
        return Ok(());
    };
    if row.revoked().is_some() {
        // bad-inputs row 24: whatever its number is.
        ctx.effects
            .push(rejected(Code::Revoked, device, Some(&row)));
        return Ok(());
    }
    match row.seq {
        // bad-inputs row 85
        Some(known) if status.seq < known && delivered == Delivered::Kept => {
            return counts_again(ctx, device, row, status.seq);
        }
        // What the broker keeps may have overtaken it, or else be as low.
        Some(known) if status.seq < known && delivered == Delivered::Live => {
            let read = Effect::ReadStatus(device.clone());
            ctx.effects.extend([Effect::Duplicate, read]);
            return Ok(());
        }
        // bad-inputs rows 26 and 27; also each session's repetition of the last status (W7).
        Some(known) if status.seq <= known => {
            ctx.effects.push(Effect::Duplicate);
            return Ok(());
        }
        _ => {}
    }
    let proven = evidence == SignatureEvidence::Valid;
    if !status.outcomes.is_empty() && !proven {
        return unverified(ctx, device, row, evidence);
    }
    if ctx.now.mode == Mode::Recovering {
        recovery::reported(ctx, (device, &row), status)?;
    }
    want_rows(ctx.txn, device, &row, status)?;
    let mut merge = Merge {
        ctx,
        device,
        seq: status.seq,
        touched: Vec::new(),
    };
    for outcome in &status.outcomes {
        merge.outcome(&mut row, outcome)?;
    }
    if let Some(progress) = &status.running {
        merge.progress(&mut row, progress)?;
    }
    let unmentioned = merge.leaves_unmentioned(&row, status)?;
    let mentioned = status.outcomes.iter().map(|outcome| outcome.deployment);
    let running = status.running.map(|running| running.deployment);
    let highest = mentioned.chain(running).max();
    let Merge { ctx, touched, .. } = merge;
    numbers::seen_in_status(ctx, device, highest)?;
    row.seq = Some(status.seq);
    row.running = status.running.map(|running| running.deployment);
    if doubt::leaves(ctx, device, &mut row, status)? || unmentioned {
        ask_resync(ctx, &mut row, device)?;
    }
    row.last_seen_ms = Some(ctx.now.unix_ms);
    row.unverified &= status.outcomes.is_empty();
    contact::watch(ctx, device, &mut row)?;
    ctx.txn.put(&DeviceKey(device.clone()), &row);
    for (id, change) in touched {
        ctx.effects.push(Effect::ViewChanged(View::Deployment(id)));
        let completed = complete_if_due(ctx, id, change);
        ctx.unless_damaged(completed)?;
    }
    Ok(())
}

fn want_rows(
    txn: &Txn,
    device: &DeviceId,
    row: &DeviceRow,
    status: &DeviceStatus,
) -> Result<(), Undecided> {
    let mentioned = status.outcomes.iter().map(|outcome| outcome.deployment);
    let running = status.running.iter().map(|running| running.deployment);
    let ids = mentioned.chain(running).chain(row.running);
    let keys = ids.flat_map(|id| {
        [
            DeploymentKey(id).key(),
            RecordKey(id, device.clone()).key(),
            counter::key_of(id, device),
        ]
    });
    txn.want(keys)
}

/// A deployment, and the device's record in it.
type Known = (DeploymentRow, Option<RecordRow>);

/// One status being taken in.
struct Merge<'a, 'txn> {
    ctx: &'a mut Ctx<'txn>,
    device: &'a DeviceId,
    seq: Seq,
    touched: Vec<(DeploymentId, Change)>,
}

impl Merge<'_, '_> {
    /// Refuses a part of this status; the rest of it is taken in.
    fn reject(&mut self, code: Code) {
        self.ctx.effects.push(Effect::Rejected {
            code,
            sender: Sender::Device {
                device: self.device.clone(),
                seq: Some(self.seq),
            },
        });
    }

    /// The deployment and the device's record in it, or a refusal (bad-inputs row 32). What is said
    /// of a deployment that is lost is told, and keeps nothing else that is said from being taken in.
    fn find(&mut self, row: &DeviceRow, id: DeploymentId) -> Result<Option<Known>, Undecided> {
        let known = self.look(row, id);
        Ok(self.ctx.unless_damaged(known)?.flatten())
    }

    fn look(&mut self, row: &DeviceRow, id: DeploymentId) -> Result<Option<Known>, Undecided> {
        self.ctx.txn.read(&CounterKey(id, Shard::of(self.device)))?;
        let record = self.ctx.txn.read(&RecordKey(id, self.device.clone()))?;
        let deployment = match record {
            Some(_) => self.ctx.txn.read_unless_removed(id)?,
            None => self.ctx.txn.read(&DeploymentKey(id))?,
        };
        let belongs = |deployment: &DeploymentRow| {
            record.is_some()
                || may_have_obeyed(row, deployment)
                || recovery::is_recovered(deployment)
        };
        let is_there = deployment.is_some();
        let Some(deployment) = deployment.filter(belongs) else {
            // What was removed is told by rings for long: it counts no more, and is no offence.
            if is_there || self.ctx.txn.read(&ForgottenKey(id))?.is_none() {
                self.reject(Code::Deployment);
            }
            return Ok(None);
        };
        Ok(Some((deployment, record)))
    }

    /// True if a round was opened, for everybody or for this device alone (S13); otherwise the
    /// round is refused (bad-inputs row 85). A round that the device's spec does not list any more
    /// counts too: the device may have obeyed the round before that change of the spec was heard.
    fn is_opened(
        &mut self,
        row: &DeviceRow,
        (id, deployment): (DeploymentId, &DeploymentRow),
        round: Round,
    ) -> Result<bool, Undecided> {
        if round <= round_of(id, deployment, row) {
            return Ok(true);
        }
        let opened = self.ctx.txn.read(&OpenedKey(id, self.device.clone()))?;
        if opened.is_some_and(|opened| round <= opened.round) {
            return Ok(true);
        }
        self.reject(Code::Round);
        Ok(false)
    }

    fn outcome(&mut self, row: &mut DeviceRow, outcome: &Outcome) -> Result<(), Undecided> {
        let id = outcome.deployment;
        let Some((deployment, old)) = self.find(row, id)? else {
            return Ok(());
        };
        if !self.is_opened(row, (id, &deployment), outcome.round)? {
            return Ok(());
        }
        let state = match &outcome.result {
            FinalResult::Successful(success) => RecordState::Successful(*success),
            FinalResult::Failed(failure) => RecordState::Failed(failure.clone()),
        };
        if let Some(old) = &old {
            if outcome.round < old.round {
                return Ok(());
            }
            if outcome.round == old.round && is_reported_final(&old.state) {
                // The ring repeats outcomes; another one in the same round is refused
                // (bad-inputs row 33).
                if matches!(old.state, RecordState::Successful(_))
                    != matches!(state, RecordState::Successful(_))
                {
                    self.reject(Code::Regress);
                }
                // A device that was registered anew shows what it did before.
                row.latest = row.latest.max(Some(id));
                return Ok(());
            }
        }
        let heard = (outcome.round, outcome.attempt, state);
        let record = self.record(row, (id, &deployment), old.as_ref(), heard);
        row.recorded = row.recorded.saturating_add(1);
        self.ctx
            .effects
            .extend(ended(id, self.device, &record).map(Effect::Event));
        self.write(row, id, old.as_ref(), &record)?;
        // A slot that nothing can come of goes to the next device (S10).
        if limit::gave_back(&record) && !old.as_ref().is_some_and(limit::gave_back) {
            limit::give_back(self.ctx, id, self.device, row)?;
        }
        Ok(())
    }

    fn progress(&mut self, row: &mut DeviceRow, progress: &Progress) -> Result<(), Undecided> {
        let id = progress.deployment;
        let Some((deployment, old)) = self.find(row, id)? else {
            return Ok(());
        };
        if !self.is_opened(row, (id, &deployment), progress.round)? {
            return Ok(());
        }
        let again = old.as_ref().filter(|old| old.round == progress.round);
        let behind = old.as_ref().is_some_and(|old| progress.round < old.round)
            || again
                .is_some_and(|old| is_reported_final(&old.state) || progress.attempt < old.attempt);
        if behind {
            // bad-inputs row 33
            self.reject(Code::Regress);
            return Ok(());
        }
        let state = RecordState::InProgress(progress.step);
        let heard = (progress.round, progress.attempt, state);
        let record = self.record(row, (id, &deployment), old.as_ref(), heard);
        self.write(row, id, old.as_ref(), &record)
    }

    /// The record that this status makes of the old one.
    fn record(
        &self,
        row: &DeviceRow,
        (id, deployment): (DeploymentId, &DeploymentRow),
        old: Option<&RecordRow>,
        (round, attempt, state): (Round, Attempt, RecordState),
    ) -> RecordRow {
        let same = old.filter(|old| old.round == round);
        let waits = matches!(state, RecordState::InProgress(step) if step.is_retrying());
        // A device that was asked and answers gets its whole time again (S7).
        let armed_ms = same.filter(|old| !old.asked).and_then(|old| old.due_ms);
        let fresh_ms = || timeout_ms(deployment.policy.timeout_s, self.ctx.now);
        let works = matches!(state, RecordState::InProgress(_));
        RecordRow {
            round,
            // What left the ring of a device is told without its attempts.
            attempt: same.map_or(attempt, |old| old.attempt.max(attempt)),
            seq: self.seq,
            state,
            retried: old.is_some_and(|old| old.retried) || waits || attempt.0 > 1,
            late: same.is_some_and(|old| old.late || old.state == RecordState::TimedOut),
            outside: old.map_or_else(|| !is_counted(row, deployment), |old| old.outside),
            lost: false,
            again: own_round(row, id).is_some_and(|own| own > round),
            due_ms: works.then(|| armed_ms.unwrap_or_else(fresh_ms)),
            asked: false,
            updated_ms: self.ctx.now.unix_ms,
        }
    }

    fn write(
        &mut self,
        row: &mut DeviceRow,
        id: DeploymentId,
        old: Option<&RecordRow>,
        new: &RecordRow,
    ) -> Result<(), Undecided> {
        let key = RecordKey(id, self.device.clone());
        put_record(self.ctx.txn, &key, old, new)?;
        let old_due = old.and_then(|old| old.due_ms);
        move_timer(self.ctx, id, self.device, old_due, new.due_ms)?;
        row.latest = row.latest.max(Some(id));
        let change = Change {
            started: old.is_none(),
            ended: is_reported_final(&new.state),
        };
        self.touched.push((id, change));
        Ok(())
    }

    /// True if a record is in progress that this status no longer mentions (W6).
    fn leaves_unmentioned(
        &self,
        row: &DeviceRow,
        status: &DeviceStatus,
    ) -> Result<bool, Undecided> {
        let running = status.running.map(|running| running.deployment);
        let Some(before) = row.running.filter(|before| running != Some(*before)) else {
            return Ok(false);
        };
        let record = self.ctx.txn.read(&RecordKey(before, self.device.clone()))?;
        Ok(record.is_some_and(|record| matches!(record.state, RecordState::InProgress(_))))
    }
}

fn is_reported_final(state: &RecordState) -> bool {
    matches!(state, RecordState::Successful(_) | RecordState::Failed(_))
}
