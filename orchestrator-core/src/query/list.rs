//! Lists of deployments, groups and releases.

use super::{
    Code, DeploymentKey, DeploymentList, DeploymentView, GroupCountKey, GroupId, GroupItem, Key,
    ListResult, Now, Page, Prefix, Queried, Reader, Rejection, ReleaseId, ReleaseItem, ReleaseKey,
    ReleaseNameRow, ReleaseRow, RowKey, deployment_view, format_time, name, row,
};
use crate::row::{DeploymentRow, GroupRow};
use hoist_protocol::id::DeploymentId;

/// Items of a page when nothing is said.
const ITEMS: u32 = 20;
/// Items of a page at most: 20 deployments or groups with long names stay under 16 KiB.
const ITEMS_MAX: u32 = 20;

fn wanted(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(ITEMS).clamp(1, ITEMS_MAX)).unwrap_or(1)
}

fn cursor() -> Rejection {
    Rejection::new(Code::Cursor, "the cursor does not belong to this list").field("after")
}

/// Deployments of every group or one, oldest first.
pub(super) fn deployment_list(
    reader: &Reader,
    list: &DeploymentList,
    now: Now,
) -> Queried<ListResult<DeploymentView>> {
    let group = match list.group.as_deref().map(|text| name("group", text)) {
        Some(Err(rejection)) => return Ok(Err(rejection)),
        Some(Ok(group)) => Some(group),
        None => None::<GroupId>,
    };
    let after = match list.after.as_deref().map(str::parse) {
        Some(Err(_)) => return Ok(Err(cursor())),
        Some(Ok(number)) => Some(DeploymentKey(DeploymentId(number)).key()),
        None => None,
    };
    let wanted = wanted(list.limit);
    let mut items = Vec::new();
    let mut after: Option<Key> = after;
    loop {
        let page = reader.scan(&Prefix::Deployments, after.as_ref(), super::SCAN_ROWS)?;
        for (index, (key, bytes)) in page.iter().enumerate() {
            let deployment: DeploymentRow = row(key, bytes)?;
            let number = key.0.get(1..).and_then(|bytes| bytes.try_into().ok());
            let Some(id) = number.map(u32::from_be_bytes).map(DeploymentId) else {
                continue;
            };
            if group
                .as_ref()
                .is_some_and(|group| *group != deployment.group)
            {
                continue;
            }
            items.extend(deployment_view(reader, id, now)?);
            if items.len() == wanted {
                let more = index + 1 < page.len() || page.len() == super::SCAN_ROWS;
                let next = more.then(|| id.to_string());
                return Ok(Ok(ListResult { items, next }));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == super::SCAN_ROWS => after = Some(key.clone()),
            _ => return Ok(Ok(ListResult { items, next: None })),
        }
    }
}

/// One page of a list whose cursor is the text behind the prefix.
fn text_page<T>(
    reader: &Reader,
    prefix: &Prefix,
    page: &Page,
    mut item: impl FnMut(String, &Key, &[u8]) -> Result<Option<T>, super::Need>,
) -> Queried<ListResult<T>> {
    let wanted = wanted(page.limit);
    let after = page.after.as_ref().map(|after| {
        let mut key = prefix.bytes();
        key.0.extend_from_slice(after.as_bytes());
        key
    });
    // One more than wanted tells whether there is a next page.
    let rows = reader.scan(prefix, after.as_ref(), wanted + 1)?;
    let mut items = Vec::new();
    let mut next = None;
    for (key, bytes) in rows.iter().take(wanted) {
        let Some(text) = prefix.rest(key) else {
            continue;
        };
        items.extend(item(text.clone(), key, bytes)?);
        next = Some(text);
    }
    let next = next.filter(|_| rows.len() > wanted);
    Ok(Ok(ListResult { items, next }))
}

/// Every group, by name.
pub(super) fn group_list(reader: &Reader, page: &Page) -> Queried<ListResult<GroupItem>> {
    text_page(reader, &Prefix::Groups, page, |group, key, bytes| {
        let row: GroupRow = row(key, bytes)?;
        let Ok(id) = group.parse::<GroupId>() else {
            return Ok(None);
        };
        let count = reader.read(&GroupCountKey(id))?.unwrap_or_default();
        Ok(Some(GroupItem {
            group,
            members: count.members,
            online: count.online,
            deployments: row.active,
        }))
    })
}

/// Every release, by `name@version`.
pub(super) fn release_list(reader: &Reader, page: &Page) -> Queried<ListResult<ReleaseItem>> {
    text_page(reader, &Prefix::ReleaseNames, page, |_, key, bytes| {
        let name: ReleaseNameRow = row(key, bytes)?;
        reader.want([ReleaseKey(name.release).key()])?;
        let release = reader.read(&ReleaseKey(name.release))?;
        Ok(release.map(|release| release_item(name.release, &release)))
    })
}

/// A release as people see it.
pub(super) fn release_item(id: ReleaseId, release: &ReleaseRow) -> ReleaseItem {
    let manifest = &release.manifest;
    ReleaseItem {
        release: crate::reply::release_text(&manifest.name, &manifest.version),
        id: id.to_string(),
        counter: manifest.counter,
        artifacts: release.artifacts.iter().map(ToString::to_string).collect(),
        size_bytes: manifest
            .artifacts
            .iter()
            .fold(0, |sum: u64, artifact| sum.saturating_add(artifact.size)),
        created_at: format_time(release.created_ms),
    }
}
