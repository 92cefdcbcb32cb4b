//! Policies, by name, and one version of one.

use hoist_protocol::id::Name;

use crate::model::key::{PolicyVersionKey, Prefix, RowKey};
use crate::model::row::PolicyRow;
use crate::model::time::format_time;
use crate::query::body::{PolicyList, PolicyShow};
use crate::query::cursor::Cursor;
use crate::query::list::text_page;
use crate::query::{Need, Queried, Reader, row};
use crate::reply::{ListResult, PolicyDetail, PolicyItem};
use crate::rules::policy;
use crate::rules::stop::Stop;

/// Every policy with its newest version, by name.
pub(crate) fn policy_list(reader: &Reader, page: &PolicyList) -> Queried<ListResult<PolicyItem>> {
    text_page(
        reader,
        &Prefix::Policies,
        (
            (page.limit, page.after.as_deref()),
            &Cursor::of(PolicyList::VERB, &[]),
        ),
        |_| 0,
        |name, key, bytes| {
            let versions = row::<PolicyRow>(key, bytes)?.versions;
            let Ok(name) = name.parse::<Name>() else {
                return Ok(None);
            };
            let newest = PolicyVersionKey(name.clone(), versions);
            reader.want([newest.key()])?;
            let newest = reader.read(&newest)?;
            Ok(newest.map(|newest| PolicyItem {
                policy: policy::text(&name, versions),
                name: name.to_string(),
                version: versions,
                created_at: format_time(newest.at_ms),
                by: newest.by.to_string(),
            }))
        },
    )
}

/// One version of a policy.
pub(crate) fn policy_show(reader: &Reader, wish: &PolicyShow) -> Queried<PolicyDetail> {
    let version = match policy::version(reader.rows(), &wish.policy) {
        Ok(version) => version,
        Err(Stop::Rejected(rejection)) => return Ok(Err(rejection)),
        Err(Stop::Undecided(undecided)) => return Err(Need::Rows(undecided)),
    };
    Ok(Ok(PolicyDetail {
        policy: PolicyItem {
            policy: policy::text(&version.name, version.version),
            name: version.name.to_string(),
            version: version.version,
            created_at: format_time(version.row.at_ms),
            by: version.row.by.to_string(),
        },
        rollout: version.rollout().map_err(Need::Rows)?,
    }))
}
