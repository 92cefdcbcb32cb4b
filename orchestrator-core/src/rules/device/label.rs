//! Labels of a device: facts for selecting it, in its signed spec.

use hoist_protocol::id::DeviceId;
use hoist_protocol::spec::{LABELS_MAX, TEXT_BYTES_MAX};

use crate::model::error::{Code, Rejection};
use crate::model::key::{DeviceKey, GroupKey};
use crate::model::row::DeviceRow;
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;
use crate::rules::device::settle;
use crate::rules::group;
use crate::rules::rollout::outbox::{self, AdmissionChange};
use crate::rules::text::one_line;

/// A name and a value.
pub(crate) type Label = (String, String);

/// Refuses labels that no device can have.
pub(crate) fn check(labels: &[Label]) -> Result<(), Rejection> {
    for (name, value) in labels {
        one_line(name, "labels")?;
        one_line(value, "labels")?;
    }
    let long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if labels.len() > LABELS_MAX || labels.iter().any(|(k, v)| long(k) || long(v)) {
        let why = "a device has at most 16 labels of 128 bytes each";
        return Err(Rejection::new(Code::Size, why).field("labels"));
    }
    Ok(())
}

/// The labels of a device after a change, sorted by name.
pub(crate) fn changed(
    labels: &[Label],
    set: &[Label],
    remove: &[String],
) -> Result<Vec<Label>, Rejection> {
    let is_set = |name: &str| set.iter().any(|(set, _)| set == name);
    let stays = |(name, _): &&Label| !remove.contains(name) && !is_set(name);
    let mut changed: Vec<Label> = labels.iter().filter(stays).chain(set).cloned().collect();
    changed.sort_unstable();
    check(&changed)?;
    Ok(changed)
}

/// Gives a device these labels, and puts it where they say. Its row is written too.
pub(crate) fn set(
    ctx: &mut Ctx,
    device: &DeviceId,
    row: &mut DeviceRow,
    labels: Vec<Label>,
) -> Result<(), Undecided> {
    if row.labels == labels {
        return Ok(());
    }
    let mut group = group::require(ctx.txn, &row.group)?;
    if !group.active.is_empty() {
        // Whoever looks for devices by their labels must see it (S16).
        group.turn += 1;
        ctx.txn.put(&GroupKey(row.group.clone()), &group);
    }
    row.labels = labels;
    ctx.txn.put(&DeviceKey(device.clone()), row);
    outbox::changed(ctx, device, AdmissionChange::Tightens)?;
    settle(ctx, device, row)
}
