//! The one door into the rules: an input becomes row changes and effects, or a list of
//! rows to load first. Deciding the same input again changes nothing, so deliveries may
//! repeat.

use hoist_protocol::id::{DeploymentId, DeviceId, Generation, Shard};

use crate::api::request;
use crate::api::response::{Decision, Response};
use crate::engine::input::Input;
use crate::model::effect::Effect;
use crate::model::key::{
    AuditHeadKey, ClaimKey, CounterKey, DeploymentKey, DeviceKey, EventHeadKey, ForgottenKey,
    GroupCountKey, GroupKey, Key, OutboxKey, PassesKey, RecordKey, RecoveryKey, RefusedKey,
    RequestKey, RevokedKey, RolloutKey, RowKey, WaitingCountKey,
};
use crate::model::now::Now;
use crate::model::row::{GENERATIONS_MS, InstanceRow};
use crate::model::search::Old;
use crate::model::timer::{Timer, TimerKind};
use crate::model::txn::{Txn, Undecided};
use crate::rules::ctx::Ctx;
use crate::rules::deployment::{self, numbers, retention};
use crate::rules::device::{self, access, contact, doubt, presence, refusal, status};
use crate::rules::rollout::{advance, limit, outbox, window};
use crate::rules::{audit, enrollment, event_history, group, pass, recovery, waiting};

/// Reserved beyond what is needed while the clock is behind what an earlier run reserved: few
/// writes, and less than a start takes, so that quick starts do not run away from the clock.
const SPARE_MS: u64 = 1_000;

/// Decides one input on the batch's overlay. Decisions of one batch share `txn`; each
/// keeps its writes only when it succeeds.
///
/// # Errors
/// [`Undecided`]: nothing was written; load the rows and decide again.
pub fn decide(txn: &mut Txn, input: &Input, now: Now) -> Result<Decision, Undecided> {
    let mut ctx = Ctx::new(txn, now);
    let decided = dispatch(&mut ctx, input)
        .and_then(|response| Ok((response, event_history::keep(&mut ctx)?)));
    match decided {
        Ok((response, kept)) => {
            ctx.txn.keep()?;
            let effects = ctx.effects;
            Ok(Decision {
                effects,
                kept,
                response,
            })
        }
        Err(undecided) => {
            ctx.txn.take_back();
            Err(undecided)
        }
    }
}

fn dispatch(ctx: &mut Ctx, input: &Input) -> Result<Option<Response>, Undecided> {
    match input {
        Input::Command(command) => return request::execute(ctx, command),
        Input::Status {
            device,
            status,
            evidence,
            delivered,
        } => status::merge(ctx, device, status, (*evidence, *delivered)),
        // bad-inputs row 15: a deletion says nothing about the device.
        Input::StatusCleared { .. } | Input::Disconnected => Ok(()),
        Input::Refused { device, code } => refusal::refused(ctx, device.as_ref(), *code),
        Input::CountRefusals { device, refusal } => refusal::count(ctx, device, *refusal),
        Input::Presence {
            device,
            presence,
            delivered,
        } => presence::merge(ctx, device, (*presence, *delivered)),
        Input::Info { device, info } => device::merge_info(ctx, device, info),
        Input::Enroll(ask) => enrollment::asked(ctx, ask),
        Input::UserManaged {
            deed,
            body_hash,
            answer,
        } => request::remember(ctx, deed, (*body_hash, answer)),
        Input::UserRefused { deed, code } => audit::note_refusal(ctx, deed, *code),
        Input::Noted(deed) => audit::note(ctx, deed, None),
        Input::ToldBefore(event) => event_history::keep_only(ctx, event),
        Input::Happened(event) => event_history::tell(ctx, event),
        Input::RootInEffect(root) => audit::note_root(ctx, root),
        Input::TimerDue(timer) => timer_due(ctx, timer),
        Input::SeenSpec(entries) => numbers::seen_in_spec(ctx, entries),
        Input::SeenRounds { device, rounds } => numbers::opened_in_spec(ctx, device, rounds),
        Input::RecoverRelease(verified) => recovery::release(ctx, verified),
        Input::RecoverGroup { group, spec } => recovery::group(ctx, group, spec),
        Input::RecoverDevice {
            device,
            spec,
            newer,
            shown,
        } => recovery::device(ctx, device, (spec, *newer), *shown),
        Input::RecoveryOver(group) => recovery::over(ctx, group),
        Input::RecoveryBegins => recovery::begins(ctx),
        Input::RecoveryEnds => recovery::ends(ctx),
        Input::LineFound(found) => limit::line_found(ctx, found),
        Input::Old(old) => retention::old(ctx, old),
        Input::Left(left) => retention::sweep(ctx, left),
        Input::PassPage(page) => pass::page_found(ctx, page),
        Input::BrokerForgot => presence::broker_forgot(ctx),
        Input::Doubt(group) => presence::doubt(ctx, group),
        Input::Connected => {
            let mut instance = ctx.txn.instance()?;
            instance.uptime_ms = ctx.now.uptime_ms;
            instance.connected_at_ms = ctx.now.uptime_ms;
            ctx.txn.put_instance(&instance);
            group::ensure_unassigned(ctx)
        }
        Input::SpecOut { device, change } => outbox::spec_out(ctx, device, *change),
        Input::SignedBy(signer) => note(ctx, |instance| instance.signed_by(*signer)),
        Input::ReserveGenerations(up_to) => reserve(ctx, *up_to),
        Input::ResyncAsked => presence::resync_asked(ctx),
        Input::Uptime => {
            let now = ctx.now;
            note(ctx, |instance| {
                instance.uptime_ms = instance.uptime_ms.max(now.uptime_ms);
                instance.written_ms = now.unix_ms;
            })
        }
    }
    .map(|()| None)
}

fn reserve(ctx: &mut Ctx, up_to: Generation) -> Result<(), Undecided> {
    let mut instance = ctx.txn.instance()?;
    let needed_ms = up_to.0.saturating_add(SPARE_MS);
    let ahead_ms = ctx.now.unix_ms.saturating_add(GENERATIONS_MS);
    instance.generations_ms = instance.generations_ms.max(needed_ms).max(ahead_ms);
    ctx.txn.put_instance(&instance);
    let reserved = Generation(instance.generations_ms);
    ctx.effects.push(Effect::GenerationsReserved(reserved));
    Ok(())
}

/// Changes the row of this orchestrator.
fn note(ctx: &mut Ctx, change: impl FnOnce(&mut InstanceRow)) -> Result<(), Undecided> {
    let mut instance = ctx.txn.instance()?;
    change(&mut instance);
    ctx.txn.put_instance(&instance);
    Ok(())
}

fn timer_due(ctx: &mut Ctx, timer: &Timer) -> Result<(), Undecided> {
    match &timer.kind {
        TimerKind::Start(id) => deployment::start_due(ctx, timer, *id),
        TimerKind::Until(id) => deployment::end::until_due(ctx, timer, *id),
        TimerKind::Device(id, device) => contact::timeout_due(ctx, timer, *id, device),
        TimerKind::Contact(device) => contact::contact_due(ctx, timer, device),
        TimerKind::Seek(id) => limit::seek_due(ctx, timer, *id),
        TimerKind::Doubt(device) => doubt::due(ctx, timer, device),
        TimerKind::Sweep(id) => retention::sweep_due(ctx, timer, *id),
        TimerKind::Forget(user, request) => request::forget(ctx, timer, user, request),
        TimerKind::Waiting(device) => waiting::due(ctx, timer, device),
        TimerKind::Claim(claim) => waiting::claim_due(ctx, timer, claim),
        TimerKind::Overlap(device) => access::overlap_due(ctx, timer, device),
        TimerKind::Rollout(id) => advance::due(ctx, timer, *id),
        TimerKind::Fallback(id) => deployment::fallback::due(ctx, timer, *id),
        TimerKind::Pass => pass::due(ctx, timer),
        TimerKind::Window(id) => window::due(ctx, timer, *id),
    }
}

/// Rows that deciding this input will surely look at. Loading them first saves a round;
/// too few or too many is never wrong. The row of the orchestrator that decides is always loaded.
#[must_use]
pub fn hint(input: &Input) -> Vec<Key> {
    match input {
        Input::Status { device, status, .. } => {
            let running = status.running.iter().map(|running| running.deployment);
            let ended = status.outcomes.iter().map(|outcome| outcome.deployment);
            let mut keys = vec![DeviceKey(device.clone()).key()];
            for id in running.chain(ended) {
                keys.push(DeploymentKey(id).key());
                keys.push(RecordKey(id, device.clone()).key());
                keys.push(CounterKey(id, Shard::of(device)).key());
            }
            keys
        }
        Input::Presence { device, .. } | Input::RecoverDevice { device, .. } => {
            vec![DeviceKey(device.clone()).key()]
        }
        Input::Info { device, .. } => device::info_hint(device),
        Input::LineFound(found) => {
            let devices = found.without.iter().cloned().map(DeviceKey);
            let mut keys: Vec<Key> = devices.map(|device| device.key()).collect();
            keys.push(DeploymentKey(found.seek.deployment).key());
            keys.push(GroupKey(found.seek.group.clone()).key());
            keys
        }
        Input::Old(Old::Deployment(id)) => vec![DeploymentKey(*id).key(), ForgottenKey(*id).key()],
        Input::Old(Old::Device(device)) => vec![DeviceKey(device.clone()).key()],
        Input::Left(left) => {
            let keys = left.keys.iter().cloned();
            keys.chain([ForgottenKey(left.deployment).key()]).collect()
        }
        Input::PassPage(page) => pass::hint(page),
        Input::Doubt(group) | Input::RecoverGroup { group, .. } | Input::RecoveryOver(group) => {
            vec![GroupKey(group.clone()).key()]
        }
        Input::Command(command) => request::hint(command),
        Input::Enroll(ask) => enrollment::hint(ask),
        Input::UserManaged { deed, .. } => {
            let request = RequestKey(deed.user.clone(), deed.request.clone());
            vec![request.key(), AuditHeadKey.key()]
        }
        Input::UserRefused { .. } | Input::Noted(_) => vec![AuditHeadKey.key()],
        Input::Happened(_) | Input::ToldBefore(_) => vec![EventHeadKey.key()],
        Input::TimerDue(timer) => timer_hint(timer),
        Input::Connected => {
            let unassigned = hoist_protocol::id::GroupId::unassigned();
            vec![
                GroupKey(unassigned.clone()).key(),
                GroupCountKey(unassigned).key(),
            ]
        }
        Input::SpecOut { device, .. } => vec![OutboxKey(device.clone()).key()],
        Input::SeenSpec(entries) => deployments(entries.iter().map(|entry| entry.deployment)),
        Input::SeenRounds { rounds, .. } => deployments(rounds.iter().map(|(id, _)| *id)),
        Input::RecoveryBegins | Input::RecoveryEnds => vec![RecoveryKey.key()],
        Input::Refused { device, .. } => device.iter().flat_map(refusal_hint).collect(),
        Input::CountRefusals { device, .. } => refusal_hint(device).to_vec(),
        Input::Uptime
        | Input::RootInEffect(_)
        | Input::RecoverRelease(_)
        | Input::SignedBy(_)
        | Input::ReserveGenerations(_)
        | Input::BrokerForgot
        | Input::ResyncAsked
        | Input::StatusCleared { .. }
        | Input::Disconnected => Vec::new(),
    }
}

fn deployments(ids: impl Iterator<Item = DeploymentId>) -> Vec<Key> {
    ids.map(|id| DeploymentKey(id).key()).collect()
}

fn refusal_hint(device: &DeviceId) -> [Key; 2] {
    [
        DeviceKey(device.clone()).key(),
        RefusedKey(device.clone()).key(),
    ]
}

fn timer_hint(timer: &Timer) -> Vec<Key> {
    let mut keys = vec![timer.key()];
    match &timer.kind {
        TimerKind::Start(id)
        | TimerKind::Until(id)
        | TimerKind::Seek(id)
        | TimerKind::Fallback(id) => {
            keys.push(DeploymentKey(*id).key());
        }
        TimerKind::Rollout(id) | TimerKind::Window(id) => {
            keys.extend([DeploymentKey(*id).key(), RolloutKey(*id).key()]);
        }
        TimerKind::Sweep(id) => keys.push(ForgottenKey(*id).key()),
        TimerKind::Pass => keys.push(PassesKey.key()),
        TimerKind::Contact(device) | TimerKind::Doubt(device) => {
            keys.push(DeviceKey(device.clone()).key());
        }
        TimerKind::Overlap(device) => keys.extend([
            DeviceKey(device.clone()).key(),
            RevokedKey(device.clone()).key(),
        ]),
        TimerKind::Device(id, device) => keys.extend([
            DeviceKey(device.clone()).key(),
            RecordKey(*id, device.clone()).key(),
            CounterKey(*id, Shard::of(device)).key(),
            DeploymentKey(*id).key(),
        ]),
        TimerKind::Waiting(device) => {
            keys.extend(waiting::keys(device));
            keys.push(WaitingCountKey.key());
        }
        TimerKind::Claim(claim) => {
            keys.extend([ClaimKey(claim.clone()).key(), WaitingCountKey.key()]);
        }
        TimerKind::Forget(user, request) => {
            keys.push(RequestKey(user.clone(), request.clone()).key());
        }
    }
    keys
}
