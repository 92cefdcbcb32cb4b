//! The audit trail grows by an item in the commit of what the item tells. No decision reads an
//! item; the one that writes the next reads where the trail ends.

use crate::model::damage::Damage;
use crate::model::error::Code;
use crate::model::key::{AuditHeadKey, AuditKey, RowKey};
use crate::model::row::{AuditHeadRow, Deed};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Time between two refusals that are noted though nobody remembers them, in ms: whoever sends
/// more of them fills no store.
pub(crate) const REFUSALS_MS: u64 = 1_000;

/// Notes a command whose answer is remembered, so that it comes here once.
pub(crate) fn note(ctx: &mut Ctx, deed: &Deed, result: Option<Code>) -> Result<(), Undecided> {
    let head = ctx.txn.read_or_empty(&AuditHeadKey)?;
    append(ctx, head, deed, result)
}

/// Notes a refusal that is not remembered, one a second at most.
pub(crate) fn note_refusal(ctx: &mut Ctx, deed: &Deed, code: Code) -> Result<(), Undecided> {
    let mut head = ctx.txn.read_or_empty(&AuditHeadKey)?;
    // A clock that was set back holds nothing up.
    if head.refused_ms.abs_diff(ctx.now.unix_ms) < REFUSALS_MS {
        return Ok(());
    }
    head.refused_ms = ctx.now.unix_ms;
    append(ctx, head, deed, Some(code))
}

fn append(
    ctx: &mut Ctx,
    head: AuditHeadRow,
    deed: &Deed,
    result: Option<Code>,
) -> Result<(), Undecided> {
    let item = deed.item(ctx.now.unix_ms, result).after(&head.hash);
    let number = head.number.saturating_add(1);
    let key = AuditKey(number);
    // The end was lost, and what is there is not written over.
    if ctx.txn.read(&key)?.is_some() {
        let key = AuditHeadKey.key();
        return Err(Damage::Lost { key }.into());
    }
    let head = AuditHeadRow {
        number,
        hash: item.hash,
        ..head
    };
    ctx.txn.put(&key, &item);
    ctx.txn.put(&AuditHeadKey, &head);
    Ok(())
}
