//! The audit trail grows by an item in the commit of what the item tells: every change of state by
//! somebody, by a user's command, by a claim, or on the server's own machine. No decision reads an
//! item; the one that writes the next reads where the trail ends.

use hoist_protocol::codec::encode;
use hoist_protocol::id::{GroupId, RequestId, UserId, sha256};
use hoist_protocol::root::{KeyRole, RootDocument};

use crate::model::damage::Damage;
use crate::model::enroll::EnrollAsk;
use crate::model::error::Code;
use crate::model::key::{AuditHeadKey, AuditKey, NotedRootKey, RowKey};
use crate::model::row::{AuditHeadRow, Deed, NotedRootRow};
use crate::model::txn::Undecided;
use crate::rules::ctx::Ctx;

/// Time between two refusals that are noted though nobody remembers them, in ms: whoever sends
/// more of them fills no store.
pub(crate) const REFUSALS_MS: u64 = 1_000;

/// Notes a command whose answer is remembered, or something else that comes here once.
pub(crate) fn note(ctx: &mut Ctx, deed: &Deed, result: Option<Code>) -> Result<(), Undecided> {
    let head = ctx.txn.read_or_empty(&AuditHeadKey)?;
    append(ctx, head, deed, result)
}

/// Notes what came of a request by a claim: whoever has one is no user. It is only called when
/// something changed.
pub(crate) fn note_claimed(
    ctx: &mut Ctx,
    ask: &EnrollAsk,
    (group, result): (&GroupId, Option<Code>),
) -> Result<(), Undecided> {
    let claim = ask.claim.as_ref();
    let from = claim.map_or_else(String::new, |claim| format!("claim {claim}"));
    let deed = Deed {
        user: UserId::orchestrator(),
        request: RequestId::of_nonce(&ask.nonce),
        from,
        verb: "enroll".to_owned(),
        target: format!("{} {group} {}", ask.device, ask.key.fingerprint()),
    };
    note(ctx, &deed, result)
}

/// Notes that a recovery begins or ends. A trail of which the end is lost keeps nobody from it.
pub(crate) fn note_recovery(ctx: &mut Ctx, what: &'static str) -> Result<(), Undecided> {
    let request = RequestId::numbered(what, ctx.now.unix_ms);
    let deed = Deed::of_host("hoist recover", (request, "recover"), what.to_owned());
    let noted = note(ctx, &deed, None);
    ctx.unless_damaged(noted).map(drop)
}

/// Notes that another root document is in effect, with the keys that it names. Whoever rotates them
/// has the files of the server, and is no user.
pub(crate) fn note_root(ctx: &mut Ctx, root: &RootDocument) -> Result<(), Undecided> {
    let row = NotedRootRow {
        number: root.number,
        sha256: sha256(&encode(root)),
    };
    let before = ctx.txn.read(&NotedRootKey);
    if ctx.unless_damaged(before)?.flatten() == Some(row) {
        return Ok(());
    }
    let request = RequestId::numbered("root", root.number.into());
    let keys = [KeyRole::Root, KeyRole::Release, KeyRole::Orchestrator].map(|role| {
        let prints: Vec<String> = root.keys_of(role).map(|key| key.fingerprint()).collect();
        format!("{} {}", role.word(), prints.join(" "))
    });
    let target = format!("root document {}: {}", root.number, keys.join(", "));
    let deed = Deed::of_host("hoist keys", (request, "keys-rotate"), target);
    let noted = note(ctx, &deed, None);
    if ctx.unless_damaged(noted)?.is_some() {
        ctx.txn.put(&NotedRootKey, &row);
    }
    Ok(())
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
