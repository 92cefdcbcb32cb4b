//! Lists of deployments, groups and releases.

use hoist_protocol::id::{DeploymentId, GroupId, ReleaseId};

use crate::model::key::{ClaimKey, DeviceKey, Key, Prefix, ReleaseKey, RowKey};
use crate::model::row::{
    ClaimRow, DeploymentRow, GroupRow, ReleaseNameRow, ReleaseRow, WaitingRow,
};
use crate::model::time::format_time;
use crate::query::body::{
    DeploymentList, EnrollList, EnrollWaiting, GroupList, ITEMS_MAX, ReleaseList,
};
use crate::query::cursor::{self, Cursor};
use crate::query::walk::{self, End, Row, Rows, Way};
use crate::query::{
    ITEMS_BYTES_MAX, Need, Queried, Reader, SCAN_ROWS, deployment_view, freeze_of, group_count,
    group_wish, row,
};
use crate::reply::view::DeploymentView;
use crate::reply::{ClaimItem, FrozenItem, GroupItem, ListResult, ReleaseItem, WaitingItem};
use crate::rules::dynamic;

fn wanted(limit: Option<u32>) -> usize {
    usize::try_from(limit.unwrap_or(ITEMS_MAX)).unwrap_or(1)
}

/// Deployments of every group or one, oldest first.
pub(crate) fn deployment_list(
    reader: &mut Reader,
    list: &DeploymentList,
) -> Queried<ListResult<DeploymentView>> {
    let group = match group_wish(reader, list.group.as_deref())? {
        Ok(group) => group,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let cursor = Cursor::of(DeploymentList::VERB, &[list.group.as_deref()]);
    let after = match cursor.open(list.after.as_deref()) {
        Ok(after) => after.map(str::parse),
        Err(rejection) => return Ok(Err(rejection)),
    };
    let after = match after {
        Some(Err(_)) => return Ok(Err(cursor::refusal())),
        Some(Ok(number)) => Some(u32::to_be_bytes(number).to_vec()),
        None => None,
    };
    let way = Way {
        prefixes: vec![Prefix::Deployments],
        start: after,
        page: SCAN_ROWS,
        wanted: wanted(list.limit),
        rows: super::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let look = |reader: &Reader, pages: &[Rows]| {
        let looked = pages.iter().copied().flatten().map(|(key, value)| {
            let deployment: DeploymentRow = row(key, value)?;
            let number = key.0.get(1..).and_then(|bytes| bytes.try_into().ok());
            let id = DeploymentId(number.map_or(0, u32::from_be_bytes));
            let wanted = group.as_ref().is_none_or(|of| *of == deployment.group);
            let view = match wanted {
                true => deployment_view(reader, id)?,
                false => None,
            };
            let bytes = view.as_ref().map_or(0, view_bytes_at_most);
            Ok(Row {
                mark: id.to_string(),
                item: view.map(|view| (view, bytes)),
            })
        });
        looked.collect()
    };
    walk::page(
        reader,
        |walks| &mut walks.deployments,
        (&way, &cursor),
        look,
    )
}

/// An upper bound of a view's JSON: versions may need six bytes for one when escaped.
fn view_bytes_at_most(view: &DeploymentView) -> usize {
    600 + 6 * view.release.len() + view.group.len() + 64 * view.failures.len()
}

/// An upper bound of a release's JSON.
fn release_bytes_at_most(item: &ReleaseItem) -> usize {
    let artifacts: usize = item.artifacts.iter().map(|name| name.len() + 3).sum();
    220 + 6 * item.release.len() + artifacts
}

/// The `limit` and `after` of a list.
type Page<'a> = (Option<u32>, Option<&'a str>);

/// One page of a list whose cursor is the text behind the prefix.
pub(super) fn text_page<T>(
    reader: &Reader,
    prefix: &Prefix,
    ((limit, after), cursor): (Page, &Cursor),
    bytes_at_most: impl Fn(&T) -> usize,
    mut item: impl FnMut(String, &Key, &[u8]) -> Result<Option<T>, Need>,
) -> Queried<ListResult<T>> {
    let wanted = wanted(limit);
    let after = match cursor.open(after) {
        Ok(after) => after,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let after = after.map(|after| {
        let mut key = prefix.bytes();
        key.0.extend_from_slice(after.as_bytes());
        key
    });
    // One more than wanted tells whether there is a next page.
    let rows = reader.scan(prefix, after.as_ref(), wanted + 1)?;
    let mut items: Vec<T> = Vec::new();
    let mut used = 0;
    let mut last: Option<String> = None;
    let mut looked_at: Option<String> = None;
    for (key, value) in rows {
        let Some(text) = prefix.rest(key) else {
            continue;
        };
        looked_at = Some(text.clone());
        let Some(item) = item(text.clone(), key, value)? else {
            continue;
        };
        used += bytes_at_most(&item);
        let full = used > ITEMS_BYTES_MAX && !items.is_empty();
        if full || items.len() == wanted {
            let next = last.map(|last| cursor.behind(&last));
            return Ok(Ok(ListResult { items, next }));
        }
        items.push(item);
        last = Some(text);
    }
    // Some were no items: there may be more behind them.
    let looked_at = looked_at.filter(|_| rows.len() > wanted);
    let next = looked_at.map(|text| cursor.behind(&text));
    Ok(Ok(ListResult { items, next }))
}

/// Every group, by name.
pub(crate) fn group_list(reader: &Reader, page: &GroupList) -> Queried<ListResult<GroupItem>> {
    // With a long selector fewer fit than wanted.
    text_page(
        reader,
        &Prefix::Groups,
        (
            (page.limit, page.after.as_deref()),
            &Cursor::of(GroupList::VERB, &[]),
        ),
        |item: &GroupItem| 700 + 2 * item.selector.as_ref().map_or(0, String::len),
        |group, key, bytes| {
            let row: GroupRow = row(key, bytes)?;
            let Ok(id) = group.parse::<GroupId>() else {
                return Ok(None);
            };
            let count = group_count(reader, &id)?;
            Ok(Some(GroupItem {
                group,
                members: count.members,
                online: count.online,
                frozen: freeze_of(reader, &id)?.as_ref().map(FrozenItem::of),
                selector: dynamic::all(reader.rows())?
                    .selector(&id)
                    .map(ToString::to_string),
                deployments: row.active,
            }))
        },
    )
}

/// Every claim, by name.
pub(crate) fn enroll_list(reader: &Reader, page: &EnrollList) -> Queried<ListResult<ClaimItem>> {
    text_page(
        reader,
        &Prefix::Claims,
        (
            (page.limit, page.after.as_deref()),
            &Cursor::of(EnrollList::VERB, &[]),
        ),
        |_| 0,
        |claim, key, bytes| {
            let row: ClaimRow = row(key, bytes)?;
            Ok(Some(ClaimItem {
                claim,
                group: row.group.to_string(),
                ids: row.ids,
                uses: row.uses,
                used: row.used,
                approval: row.approval,
                expires_at: format_time(row.expires_ms),
                created_at: format_time(row.created_ms),
                by: row.by.to_string(),
            }))
        },
    )
}

/// Every board that waits for approval, by the name of its device.
pub(crate) fn enroll_waiting(
    reader: &Reader,
    page: &EnrollWaiting,
) -> Queried<ListResult<WaitingItem>> {
    text_page(
        reader,
        &Prefix::Waiting,
        (
            (page.limit, page.after.as_deref()),
            &Cursor::of(EnrollWaiting::VERB, &[]),
        ),
        |_| 0,
        |text, key, bytes| {
            let row: WaitingRow = row(key, bytes)?;
            let claim = ClaimKey(row.claim.clone());
            let device = text.split('/').next().unwrap_or_default();
            let known = device.parse().ok().map(DeviceKey);
            reader.want(known.iter().map(RowKey::key).chain([claim.key()]))?;
            if reader.read(&claim)?.is_none() {
                // It was sent away with its claim.
                return Ok(None);
            }
            let row_of_device = match &known {
                Some(known) => reader.read(known)?,
                None => None,
            };
            Ok(Some(WaitingItem {
                registered: row_of_device.is_some(),
                device: device.to_owned(),
                group: row.group.to_string(),
                device_type: row.device_type,
                claim: row.claim.to_string(),
                fingerprint: row.key.fingerprint(),
                since: format_time(row.since_ms),
            }))
        },
    )
}

/// Every release, or those of one name, by `name@version`.
pub(crate) fn release_list(
    reader: &Reader,
    list: &ReleaseList,
) -> Queried<ListResult<ReleaseItem>> {
    let size = release_bytes_at_most;
    let prefix = match list.name.clone() {
        Some(name) => Prefix::Versions(name),
        None => Prefix::ReleaseNames,
    };
    let page = (list.limit, list.after.as_deref());
    let cursor = Cursor::of(ReleaseList::VERB, &[list.name.as_deref()]);
    text_page(reader, &prefix, (page, &cursor), size, |_, key, bytes| {
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
        release: crate::model::row::release_text(&manifest.name, &manifest.version),
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
