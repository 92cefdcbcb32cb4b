//! The devices of a group, or those that one deployment counts, in pages.

use std::collections::BTreeSet;

use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};

use crate::model::key::{
    DeploymentKey, DeviceKey, Prefix, RecordKey, RefusedKey, RevokedKey, RowKey, TroubleKey,
};
use crate::model::now::Now;
use crate::model::row::{DeploymentRow, DeviceRow};
use crate::model::selector::Selector;
use crate::query::body::{DEVICES_MAX, DeviceList};
use crate::query::cursor::Cursor;
use crate::query::device::{item, of_record};
use crate::query::walk::{End, Row, Rows, Way};
use crate::query::{Need, Queried, Reader, group_wish, no_deployment, totals};
use crate::reply::{DeviceItem, ListResult, StatusWord};
use crate::rules::rollout::membership::{is_counted, was_counted};

/// Rows read at once where every one is listed: as many as fit into a reply.
const ROWS: usize = 32;
/// The same where few may be.
const FILTERED_ROWS: usize = 256;

/// The request for a list, checked.
struct Wish {
    prefixes: Vec<Prefix>,
    group: Option<GroupId>,
    deployment: Option<(DeploymentId, DeploymentRow)>,
    selector: Option<Selector>,
    status: Option<StatusWord>,
    wanted: usize,
    cursor: Cursor,
}

impl Wish {
    /// True if there may be rows along the way that are not listed.
    fn is_filtered(&self) -> bool {
        let members = matches!(self.prefixes[..], [Prefix::Members(_)]);
        let chosen = self.status.is_some() || self.selector.is_some();
        chosen || self.is_by_stays() || (self.group.is_some() && !members)
    }

    /// True if devices are listed that were members when the deployment ended: their stays tell,
    /// wherever they are now.
    fn is_by_stays(&self) -> bool {
        self.deployment.is_some() && self.prefixes.contains(&Prefix::Revoked)
    }

    fn id(&self) -> Option<DeploymentId> {
        self.deployment.as_ref().map(|(id, _)| *id)
    }
}

/// The ranges in which the devices are that a deployment counts (S5): those with a record, and the
/// Pending ones, who have none.
fn counted_by(
    reader: &Reader,
    (id, row): (DeploymentId, &DeploymentRow),
    status: Option<StatusWord>,
) -> Result<Vec<Prefix>, Need> {
    let begun = Prefix::Records(id);
    let pending = match (status, &row.end) {
        (Some(StatusWord::InProgress | StatusWord::Successful | StatusWord::Failed), _) => vec![],
        (None | Some(StatusWord::Pending), None) => vec![Prefix::Members(row.group.clone())],
        // Members of the time at which it ended: they may be anywhere by now, or removed.
        (None | Some(StatusWord::Pending), Some(end)) => {
            match totals(reader, id)?.0.counts(end.members).pending {
                0 => vec![],
                _ => vec![Prefix::Devices, Prefix::Revoked],
            }
        }
    };
    let begun = (status != Some(StatusWord::Pending)).then_some(begun);
    Ok(begun.into_iter().chain(pending).collect())
}

fn wish(reader: &Reader, list: &DeviceList) -> Queried<Wish> {
    let group = match group_wish(reader, list.group.as_deref())? {
        Ok(group) => group,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let selector = match list.selector.as_deref().map(Selector::parse).transpose() {
        Ok(selector) => selector,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let deployment = match list.deployment.map(DeploymentId) {
        None => None,
        Some(id) => match reader.read(&DeploymentKey(id))? {
            Some(row) => Some((id, row)),
            None => return Ok(Err(no_deployment(reader, id)?)),
        },
    };
    let prefixes = match (&deployment, &group) {
        (Some((id, row)), _) => counted_by(reader, (*id, row), list.status)?,
        (None, Some(group)) => vec![Prefix::Members(group.clone())],
        (None, None) => vec![Prefix::Devices],
    };
    let wanted = list.limit.unwrap_or(DEVICES_MAX);
    let number = list.deployment.map(|id| id.to_string());
    let status = list.status.map(|status| format!("{status:?}"));
    let [group_text, selector_text] = [&list.group, &list.selector].map(|text| text.as_deref());
    let filter = [
        group_text,
        number.as_deref(),
        status.as_deref(),
        selector_text,
    ];
    Ok(Ok(Wish {
        cursor: Cursor::of(DeviceList::VERB, &filter),
        prefixes,
        group,
        deployment,
        selector,
        status: list.status,
        wanted: usize::try_from(wanted).unwrap_or(1),
    }))
}

/// `device-list`
pub(crate) fn device_list(
    reader: &mut Reader,
    list: &DeviceList,
    now: Now,
) -> Queried<ListResult<DeviceItem>> {
    let wish = match wish(reader, list)? {
        Ok(wish) => wish,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let after = match wish.cursor.open(list.after.as_deref()) {
        Ok(after) => after,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let start = after.map(|after| after.as_bytes().to_vec());
    let page = match wish.is_filtered() {
        true => FILTERED_ROWS,
        false => ROWS.min(wish.wanted + 1),
    };
    let way = Way {
        prefixes: wish.prefixes.clone(),
        start,
        page,
        wanted: wish.wanted,
        rows: crate::query::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let mut walk = std::mem::take(&mut reader.walks.devices);
    match walk.go(reader, &way, |reader, pages| {
        look(reader, &wish, pages, now)
    }) {
        Ok(last) => {
            let next = last.map(|last| wish.cursor.behind(&last));
            let items = walk.items;
            Ok(Ok(ListResult { items, next }))
        }
        Err(need) => {
            reader.walks.devices = walk;
            Err(need)
        }
    }
}

/// Looks at one page of each range: of those that are not listed, no more is read than tells it.
fn look(
    reader: &Reader,
    wish: &Wish,
    pages: &[Rows],
    now: Now,
) -> Result<Vec<Row<DeviceItem>>, Need> {
    let ranges = wish.prefixes.iter().zip(pages);
    let named = ranges.flat_map(|(prefix, page)| {
        let texts = page.iter().filter_map(|(key, _)| prefix.rest(key));
        texts.filter_map(|text| text.parse().ok())
    });
    let devices: BTreeSet<DeviceId> = named.collect();
    let devices: Vec<DeviceId> = devices.into_iter().collect();
    let listed = listed(reader, wish, &devices)?;
    let rows = devices.iter().zip(&listed).filter(|(_, listed)| **listed);
    reader.want(rows.flat_map(|(device, _)| {
        [
            RefusedKey(device.clone()).key(),
            TroubleKey(device.clone()).key(),
        ]
    }))?;
    let looked = devices.iter().zip(listed).map(|(device, listed)| {
        let item = match listed {
            true => item(reader, device, wish.id(), now)?.map(|(item, _)| item),
            false => None,
        };
        Ok(Row {
            mark: device.to_string(),
            item: item.map(|item| {
                let bytes = bytes_at_most(&item);
                (item, bytes)
            }),
        })
    });
    looked.collect()
}

/// Which of these devices are to be listed.
fn listed(reader: &Reader, wish: &Wish, devices: &[DeviceId]) -> Result<Vec<bool>, Need> {
    let rows = devices.iter().map(|device| DeviceKey(device.clone()).key());
    let stays = devices.iter().filter(|_| wish.is_by_stays());
    let stays = stays.map(|device| RevokedKey(device.clone()).key());
    let deployment = wish.id().map(|id| DeploymentKey(id).key());
    let own = reader.rows().instance_key().key();
    reader.want(rows.chain(stays).chain(deployment).chain([own]))?;
    let mut shown: Vec<(Option<DeploymentId>, bool, Option<DeviceRow>)> = Vec::new();
    for device in devices {
        let row = reader.read(&DeviceKey(device.clone()))?;
        let latest = row.as_ref().and_then(|row: &DeviceRow| row.latest);
        // A device that was removed is in no group.
        let group = row.as_ref().map(|row| &row.group);
        let labels = row.as_ref().map_or(&[][..], |row| &row.labels);
        let selected = wish.selector.as_ref().is_none_or(|by| by.matches(labels));
        let grouped = selected && (wish.group.is_none() || wish.group.as_ref() == group);
        shown.push((wish.id().or(latest), grouped, row));
    }
    let records = devices.iter().zip(&shown).filter_map(|(device, shown)| {
        let (id, grouped, _) = shown;
        Some(RecordKey(id.filter(|_| *grouped)?, device.clone()).key())
    });
    reader.want(records)?;
    let listed = devices
        .iter()
        .zip(shown)
        .map(|(device, (id, grouped, row))| {
            if !grouped || (wish.status.is_none() && wish.deployment.is_none()) {
                return Ok(grouped);
            }
            let Some(id) = id else { return Ok(false) };
            let status = match reader.read(&RecordKey(id, device.clone()))? {
                Some(record) => of_record(&record).status,
                None => pending(reader, wish, device, row.as_ref())?,
            };
            Ok(status.is_some() && wish.status.is_none_or(|wanted| status == Some(wanted)))
        });
    listed.collect()
}

/// The status of a device without a record: Pending, if it is among those whom the deployment
/// counts.
fn pending(
    reader: &Reader,
    wish: &Wish,
    device: &DeviceId,
    row: Option<&DeviceRow>,
) -> Result<Option<StatusWord>, Need> {
    let Some((_, deployment)) = &wish.deployment else {
        return Ok(None);
    };
    let now = row.is_some_and(|row| is_counted(row, deployment));
    let counted = match wish.is_by_stays() && !now {
        true => {
            let lives = reader.read(&RevokedKey(device.clone()))?;
            lives.is_some_and(|lives| was_counted(&lives.past, deployment))
        }
        false => now,
    };
    Ok(counted.then_some(StatusWord::Pending))
}

/// An upper bound of an item's JSON: versions may need six bytes for one when escaped.
fn bytes_at_most(item: &DeviceItem) -> usize {
    let installed: usize = item
        .installed
        .iter()
        .map(|(name, version)| name.len() + 6 * version.len() + 6)
        .sum();
    570 + item.device.len() + item.group.len() + installed
}
