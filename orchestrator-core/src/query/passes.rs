//! Passes over all devices, as people see them.

use crate::model::key::PassesKey;
use crate::model::row::{Pass, PassWork};
use crate::model::time::format_time;
use crate::query::{Queried, Reader};
use crate::reply::{ListResult, PassItem, PassKind, bounded};

/// `pass-list`: oldest first; there are a few at most.
pub(crate) fn pass_list(reader: &Reader) -> Queried<ListResult<PassItem>> {
    let row = reader.rows().read_or_empty(&PassesKey)?;
    let items = row.passes.iter().map(item).collect();
    Ok(Ok(ListResult { items, next: None }))
}

fn item(pass: &Pass) -> PassItem {
    let (what, group) = match &pass.work {
        PassWork::Label { .. } => (PassKind::Label, None),
        PassWork::Move { group, .. } => (PassKind::Move, Some(group)),
        PassWork::Place => (PassKind::Place, None),
    };
    PassItem {
        pass: pass.number,
        what: what.into(),
        selector: pass.work.selector().map(|it| bounded(&it.to_string())),
        group: group.map(ToString::to_string),
        by: pass.by.to_string(),
        begun_at: format_time(pass.begun_ms),
        ended_at: pass.ended_ms.map(format_time),
        up_to: pass.after.as_ref().map(ToString::to_string),
        changed: pass.changed,
        refused: pass.refused,
    }
}
