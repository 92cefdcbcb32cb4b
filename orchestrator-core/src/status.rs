//! Statuses become records and counters. Records order by (round, attempt, seq); a
//! reported final outcome stands for its round (S13) and is counted once (S15); what the
//! device says of itself beats what was inferred (S7).

use hoist_protocol::id::{DeploymentId, DeviceId, Round, Seq, Shard};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Progress, Step};
use hoist_protocol::topic::View;

use crate::counter::put_record;
use crate::deployment::end::complete_when_all_successful;
use crate::device::{call_roll, unverified};
use crate::effect::{Effect, Effects, Event};
use crate::error::Code;
use crate::input::{Now, SignatureEvidence};
use crate::key::{CounterKey, DeploymentKey, DeviceKey, MetaKey, RecordKey, RowKey};
use crate::row::{DeploymentRow, DeviceRow, RecordRow, RecordState, TimerRow};
use crate::timer::{GRACE_MS, SETTLE_MS, Timer, TimerKind};
use crate::txn::{Txn, Undecided};

/// Takes a device's status in.
pub(crate) fn merge(
    txn: &mut Txn,
    device: &DeviceId,
    status: &DeviceStatus,
    evidence: SignatureEvidence,
    now: Now,
) -> Result<Effects, Undecided> {
    let Some(mut row) = txn.read(&DeviceKey(device.clone()))? else {
        // bad-inputs row 24
        return Ok(vec![rejected(Code::Unknown, device)]);
    };
    // bad-inputs rows 26 and 27; also each session's repetition of the last status (W7).
    if row.seq.is_some_and(|known| status.seq <= known) {
        return Ok(vec![Effect::Duplicate]);
    }
    if !status.outcomes.is_empty() && evidence != SignatureEvidence::Valid {
        return Ok(unverified(txn, device, row, now));
    }
    want_rows(txn, device, &row, status)?;
    let mut merge = Merge {
        txn,
        device,
        now,
        seq: status.seq,
        effects: Vec::new(),
        touched: Vec::new(),
    };
    for outcome in &status.outcomes {
        merge.outcome(&mut row, outcome)?;
    }
    if let Some(progress) = &status.running {
        merge.progress(&mut row, progress)?;
    }
    let asks = merge.leaves_doubt(&row, status)?;
    let Merge {
        mut effects,
        touched,
        ..
    } = merge;
    if asks {
        effects.push(call_roll(&mut row, device, now));
    }
    row.seq = Some(status.seq);
    row.running = status.running.map(|running| running.deployment);
    row.ended = row.ended.max(status.ended);
    row.last_seen_ms = Some(now.unix_ms);
    row.unverified &= status.outcomes.is_empty();
    txn.put(&DeviceKey(device.clone()), &row);
    for id in touched {
        effects.push(Effect::ViewChanged(View::Deployment(id)));
        effects.extend(complete_when_all_successful(txn, id, now)?);
    }
    Ok(effects)
}

fn rejected(code: Code, device: &DeviceId) -> Effect {
    Effect::Rejected {
        code,
        device: Some(device.clone()),
    }
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
    txn.want(ids.flat_map(|id| {
        [
            DeploymentKey(id).key(),
            RecordKey(id, device.clone()).key(),
            CounterKey(id, Shard::of(device)).key(),
        ]
    }))
}

/// One status being taken in.
struct Merge<'a> {
    txn: &'a mut Txn,
    device: &'a DeviceId,
    now: Now,
    seq: Seq,
    effects: Effects,
    touched: Vec<DeploymentId>,
}

impl Merge<'_> {
    /// The deployment and the device's record in it, or a refusal (bad-inputs row 32).
    fn find(
        &mut self,
        row: &DeviceRow,
        id: DeploymentId,
    ) -> Result<Option<(DeploymentRow, Option<RecordRow>)>, Undecided> {
        let deployment = self.txn.read(&DeploymentKey(id))?;
        let record = self.txn.read(&RecordKey(id, self.device.clone()))?;
        let belongs = |deployment: &DeploymentRow| {
            record.is_some() || row.was_in(&deployment.group, deployment.created_ms)
        };
        let Some(deployment) = deployment.filter(belongs) else {
            self.effects.push(rejected(Code::Deployment, self.device));
            return Ok(None);
        };
        Ok(Some((deployment, record)))
    }

    fn outcome(&mut self, row: &mut DeviceRow, outcome: &Outcome) -> Result<(), Undecided> {
        let id = outcome.deployment;
        let Some((deployment, old)) = self.find(row, id)? else {
            return Ok(());
        };
        let state = match &outcome.result {
            FinalResult::Successful(success) => RecordState::Successful(*success),
            FinalResult::Failed(failure) => RecordState::Failed(failure.clone()),
        };
        if let Some(old) = &old {
            if outcome.round < old.round {
                return Ok(());
            }
            if outcome.round == old.round && is_reported_final(&old.state) {
                // The ring repeats outcomes; another one in the same round is row 33.
                if matches!(old.state, RecordState::Successful(_))
                    != matches!(state, RecordState::Successful(_))
                {
                    self.effects.push(rejected(Code::Regress, self.device));
                }
                return Ok(());
            }
        }
        let again = old.as_ref().filter(|old| old.round == outcome.round);
        let record = RecordRow {
            round: outcome.round,
            attempt: outcome.attempt,
            seq: self.seq,
            state,
            retried: old.as_ref().is_some_and(|old| old.retried) || outcome.attempt.0 > 1,
            late: again.is_some_and(|old| old.late || old.state == RecordState::TimedOut),
            outside: old
                .as_ref()
                .map_or(row.group != deployment.group, |old| old.outside),
            due_ms: None,
            asked: false,
            updated_ms: self.now.unix_ms,
        };
        row.recorded = row.recorded.saturating_add(1);
        self.effects
            .push(Effect::Event(ended(id, self.device, &record)));
        self.write(row, id, old.as_ref(), &record)
    }

    fn progress(&mut self, row: &mut DeviceRow, progress: &Progress) -> Result<(), Undecided> {
        let id = progress.deployment;
        let Some((deployment, old)) = self.find(row, id)? else {
            return Ok(());
        };
        let again = old.as_ref().filter(|old| old.round == progress.round);
        let behind = old.as_ref().is_some_and(|old| progress.round < old.round)
            || again
                .is_some_and(|old| is_reported_final(&old.state) || progress.attempt < old.attempt);
        if behind {
            // bad-inputs row 33
            self.effects.push(rejected(Code::Regress, self.device));
            return Ok(());
        }
        // The device's own deadline comes first; ours is for those that fall silent.
        let fresh_due = self.now.attended_ms
            + u64::from(deployment.policy.timeout_s).saturating_mul(1000)
            + GRACE_MS;
        let due_ms = again
            .filter(|old| !old.asked)
            .and_then(|old| old.due_ms)
            .unwrap_or(fresh_due);
        let record = RecordRow {
            round: progress.round,
            attempt: progress.attempt,
            seq: self.seq,
            state: RecordState::InProgress(progress.step),
            retried: old.as_ref().is_some_and(|old| old.retried)
                || progress.step == Step::Retrying
                || progress.attempt.0 > 1,
            late: again.is_some_and(|old| old.late || old.state == RecordState::TimedOut),
            outside: old
                .as_ref()
                .map_or(row.group != deployment.group, |old| old.outside),
            due_ms: Some(due_ms),
            asked: false,
            updated_ms: self.now.unix_ms,
        };
        self.write(row, id, old.as_ref(), &record)
    }

    fn write(
        &mut self,
        row: &mut DeviceRow,
        id: DeploymentId,
        old: Option<&RecordRow>,
        new: &RecordRow,
    ) -> Result<(), Undecided> {
        let key = RecordKey(id, self.device.clone());
        put_record(self.txn, &key, old, new)?;
        let old_due = old.and_then(|old| old.due_ms);
        move_timer(self.txn, id, self.device, old_due, new.due_ms)?;
        row.latest = row.latest.max(Some(id));
        self.touched.push(id);
        Ok(())
    }

    /// Whether the roll has to be called (W6): a record in progress that this status no
    /// longer mentions, or more outcomes reached than recorded (W5).
    fn leaves_doubt(&self, row: &DeviceRow, status: &DeviceStatus) -> Result<bool, Undecided> {
        if status.ended > row.recorded && status.ended > row.ended {
            return Ok(true);
        }
        let running = status.running.map(|running| running.deployment);
        let Some(before) = row.running.filter(|before| running != Some(*before)) else {
            return Ok(false);
        };
        let record = self.txn.read(&RecordKey(before, self.device.clone()))?;
        Ok(record.is_some_and(|record| matches!(record.state, RecordState::InProgress(_))))
    }
}

fn is_reported_final(state: &RecordState) -> bool {
    matches!(state, RecordState::Successful(_) | RecordState::Failed(_))
}

fn ended(deployment: DeploymentId, device: &DeviceId, record: &RecordRow) -> Event {
    let Round(round) = record.round;
    let reason = match &record.state {
        RecordState::Failed(failure) => Some(failure.reason),
        RecordState::TimedOut => Some(Reason::TimedOut),
        RecordState::Successful(_) | RecordState::InProgress(_) => None,
    };
    Event::DeviceEnded {
        deployment,
        device: device.clone(),
        round,
        ok: reason.is_none(),
        reason: reason.map(|reason| reason.word().to_owned()),
        provisional: record.state == RecordState::TimedOut,
    }
}

fn move_timer(
    txn: &mut Txn,
    id: DeploymentId,
    device: &DeviceId,
    old: Option<u64>,
    new: Option<u64>,
) -> Result<(), Undecided> {
    if old == new {
        return Ok(());
    }
    let timer = |due_ms| Timer {
        due_ms,
        kind: TimerKind::Device(id, device.clone()),
    };
    txn.want(old.into_iter().chain(new).map(|due| timer(due).key()))?;
    if let Some(old) = old {
        txn.delete(&timer(old));
    }
    if let Some(new) = new {
        txn.put(&timer(new), &TimerRow {});
    }
    Ok(())
}

/// A device's time is over: it is asked first, and only after `grace` without an answer is
/// it Failed, provisionally (S7).
pub(crate) fn timer_due(
    txn: &mut Txn,
    timer: &Timer,
    id: DeploymentId,
    device: &DeviceId,
    now: Now,
) -> Result<Effects, Undecided> {
    txn.read(timer)?;
    let key = RecordKey(id, device.clone());
    let record = txn.read(&key)?;
    let Some(old) = record.filter(|record| record.due_ms == Some(timer.due_ms)) else {
        txn.delete(timer);
        return Ok(Vec::new());
    };
    let meta = txn.read(&MetaKey)?.unwrap_or_default();
    let settled_ms = meta.connected_at_ms.saturating_add(SETTLE_MS);
    let mut new = old.clone();
    let mut effects = Vec::new();
    if now.attended_ms < settled_ms {
        new.due_ms = Some(settled_ms);
    } else if let Some(mut row) = txn.read(&DeviceKey(device.clone()))?.filter(|_| !old.asked) {
        effects.push(call_roll(&mut row, device, now));
        txn.put(&DeviceKey(device.clone()), &row);
        new.asked = true;
        new.due_ms = Some(now.attended_ms.saturating_add(GRACE_MS));
    } else {
        new.state = RecordState::TimedOut;
        new.due_ms = None;
        new.updated_ms = now.unix_ms;
        effects.extend([
            Effect::Event(ended(id, device, &new)),
            Effect::ViewChanged(View::Deployment(id)),
        ]);
    }
    put_record(txn, &key, Some(&old), &new)?;
    move_timer(txn, id, device, old.due_ms, new.due_ms)?;
    Ok(effects)
}
