//! Rows that a command names as a person typed them.

use hoist_protocol::id::{GroupId, ReleaseId};

use crate::model::key::{ReleaseKey, ReleaseNameKey};
use crate::model::row::{GroupRow, ReleaseRow};
use crate::model::txn::Txn;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;
use crate::rules::{group, release};

/// A group by its name.
pub(crate) fn group(txn: &Txn, text: &str) -> Result<(GroupId, GroupRow), Stop> {
    let group: GroupId = parse_name("group", text)?;
    let row = group::read(txn, &group)?.ok_or_else(|| group::unknown(&group))?;
    Ok((group, row))
}

/// A release by its `name@version` or its id.
pub(crate) fn release(txn: &Txn, text: &str) -> Result<(ReleaseId, ReleaseRow), Stop> {
    let unknown = || release::unknown(text);
    let id = match text.parse::<ReleaseId>() {
        Ok(id) => id,
        Err(_) => {
            txn.read(&ReleaseNameKey(text.to_owned()))?
                .ok_or_else(unknown)?
                .release
        }
    };
    let row = txn.read(&ReleaseKey(id))?.ok_or_else(unknown)?;
    Ok((id, row))
}
