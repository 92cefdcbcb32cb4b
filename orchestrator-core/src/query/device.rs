//! Devices, by group or as one deployment sees them.

use std::collections::BTreeMap;

use hoist_protocol::id::{DeploymentId, DeviceId, GroupId};
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Failure, ScriptExit, Step};

use crate::model::key::{
    CloneKey, DeploymentKey, DeviceKey, MetaKey, Prefix, RecordKey, RefusedKey, RowKey, TroubleKey,
};
use crate::model::now::Now;
use crate::model::row::{DeploymentRow, DeviceRow, RecordRow, RecordState};
use crate::model::time::format_time;
use crate::query::body::DeviceList;
use crate::query::cursor::Cursor;
use crate::query::walk::{End, Row, Way};
use crate::query::{Need, Queried, Reader, ScanPage, group_wish, identity, name, no_deployment};
use crate::reply::{DeviceDetail, DeviceItem, ListResult, RefusedItem, StatusWord};
use crate::rules::device::contact::is_lost;
use crate::rules::rollout::admission::{Case, first_blocker};

/// Items of a page at most; bytes end it first when devices have long inventories.
const ITEMS_MAX: u32 = 100;
/// Rows read at once where every one is listed: as many as fit into a reply.
const ROWS: usize = 32;
/// The same where few may be.
const FILTERED_ROWS: usize = 256;

/// The request for a list, checked.
struct Wish {
    prefix: Prefix,
    group: Option<GroupId>,
    deployment: Option<DeploymentId>,
    status: Option<StatusWord>,
    wanted: usize,
    cursor: Cursor,
}

impl Wish {
    /// True if there may be rows along the way that are not listed.
    fn is_filtered(&self) -> bool {
        let members = matches!(self.prefix, Prefix::Members(_));
        self.status.is_some() || (self.group.is_some() && !members)
    }
}

fn wish(reader: &Reader, list: &DeviceList) -> Queried<Wish> {
    let group = match group_wish(reader, list.group.as_deref())? {
        Ok(group) => group,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let deployment = list.deployment.map(DeploymentId);
    let prefix = match (deployment, &group) {
        (Some(id), _) => {
            let Some(row): Option<DeploymentRow> = reader.read(&DeploymentKey(id))? else {
                return Ok(Err(no_deployment(reader, id)?));
            };
            match list.status {
                // Pending has no record: only the members know (S5).
                None | Some(StatusWord::Pending) => Prefix::Members(row.group),
                Some(_) => Prefix::Records(id),
            }
        }
        (None, Some(group)) => Prefix::Members(group.clone()),
        (None, None) => Prefix::Devices,
    };
    let wanted = list.limit.unwrap_or(ITEMS_MAX).clamp(1, ITEMS_MAX);
    let number = deployment.map(|id| id.to_string());
    let status = list.status.map(|status| format!("{status:?}"));
    let filter = [list.group.as_deref(), number.as_deref(), status.as_deref()];
    Ok(Ok(Wish {
        cursor: Cursor::of(DeviceList::VERB, &filter),
        prefix,
        group,
        deployment,
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
    let start = after.map(|after| {
        let mut key = wish.prefix.bytes();
        key.0.extend_from_slice(after.as_bytes());
        key
    });
    let page = match wish.is_filtered() {
        true => FILTERED_ROWS,
        false => ROWS.min(wish.wanted + 1),
    };
    let way = Way {
        prefix: wish.prefix.clone(),
        start,
        page,
        wanted: wish.wanted,
        rows: super::LOOKED_AT_MAX,
        end: End::OneMore,
    };
    let mut walk = std::mem::take(&mut reader.walks.devices);
    match walk.go(reader, &way, |reader, page| look(reader, &wish, page, now)) {
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

/// Looks at one page: of those that are not listed, no more is read than tells it.
fn look(
    reader: &Reader,
    wish: &Wish,
    page: &ScanPage,
    now: Now,
) -> Result<Vec<Row<DeviceItem>>, Need> {
    let named = page.iter().filter_map(|(key, _)| wish.prefix.rest(key));
    let devices: Vec<DeviceId> = named.filter_map(|text| text.parse().ok()).collect();
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
            true => item(reader, device, wish.deployment, now)?.map(|(item, _)| item),
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
    let deployment = wish.deployment.map(|id| DeploymentKey(id).key());
    reader.want(rows.chain(deployment).chain([MetaKey.key()]))?;
    let mut shown: Vec<(Option<DeploymentId>, bool)> = Vec::with_capacity(devices.len());
    for device in devices {
        let row = reader.read(&DeviceKey(device.clone()))?;
        let latest = row.as_ref().and_then(|row: &DeviceRow| row.latest);
        // A device that was removed is in no group.
        let group = row.map_or(String::new(), |row| row.group.to_string());
        let grouped = wish.group.as_ref().is_none_or(|of| of.as_str() == group);
        shown.push((wish.deployment.or(latest), grouped));
    }
    let records = devices.iter().zip(&shown).filter_map(|(device, shown)| {
        let (id, grouped) = *shown;
        Some(RecordKey(id.filter(|_| grouped)?, device.clone()).key())
    });
    reader.want(records)?;
    let listed = devices.iter().zip(shown).map(|(device, (id, grouped))| {
        let (Some(wanted), true) = (wish.status, grouped) else {
            return Ok(grouped);
        };
        let Some(id) = id else { return Ok(false) };
        let record = reader.read(&RecordKey(id, device.clone()))?;
        let status = match record {
            Some(record) => of_record(&record).status,
            None => wish.deployment.map(|_| StatusWord::Pending),
        };
        Ok(status == Some(wanted))
    });
    listed.collect()
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

/// One device with its record; `None` when neither is known.
fn item(
    reader: &Reader,
    device: &DeviceId,
    deployment: Option<DeploymentId>,
    now: Now,
) -> Result<Option<(DeviceItem, Option<RecordRow>)>, Need> {
    let row = reader.read(&DeviceKey(device.clone()))?;
    let shown = deployment.or_else(|| row.as_ref().and_then(|row| row.latest));
    let record = match shown {
        Some(id) => reader.read(&RecordKey(id, device.clone()))?,
        None => None,
    };
    if row.is_none() && record.is_none() {
        return Ok(None);
    }
    let mut item = match (&record, shown) {
        (Some(record), _) => of_record(record),
        // Without a record in its newest one: that was removed, and what it came to with it.
        (None, Some(_)) => DeviceItem {
            status: deployment.map(|_| StatusWord::Pending),
            ..DeviceItem::default()
        },
        (None, None) => DeviceItem::default(),
    };
    item.device = device.to_string();
    item.deployment = shown;
    item.presence = "unknown".to_owned();
    if let Some(row) = row {
        let meta = reader.read(&MetaKey)?.unwrap_or_default();
        let waits = is_lost(&row, &meta, now) && waits_for(reader, device, &row, shown, &record)?;
        item.retrying |= waits;
        item.held = row.held;
        let refused = reader.read(&RefusedKey(device.clone()))?;
        item.refused = RefusedItem::last(refused.as_ref());
        let trouble = reader.read(&TroubleKey(device.clone()))?;
        item.trouble = trouble.map(|row| row.trouble.word().to_owned());
        item.group = row.group.to_string();
        item.presence = presence(row.is_there(&meta)).to_owned();
        item.last_seen = row.last_seen_ms.map(format_time);
        item.installed = row
            .inventory
            .iter()
            .map(|installed| (installed.name.to_string(), installed.version.clone()))
            .collect();
    }
    Ok(Some((item, record)))
}

/// True if something of a device is waited for: the device works, or it may start (S6).
fn waits_for(
    reader: &Reader,
    device: &DeviceId,
    row: &DeviceRow,
    shown: Option<DeploymentId>,
    record: &Option<RecordRow>,
) -> Result<bool, Need> {
    let Some(id) = shown else { return Ok(false) };
    match record.as_ref().map(|record| &record.state) {
        Some(RecordState::InProgress(step)) => Ok(*step != Step::Rebooting),
        _ => {
            let deployment = reader.read(&DeploymentKey(id))?;
            let may_start = |deployment: DeploymentRow| {
                let case = Case {
                    id,
                    deployment: &deployment,
                    device,
                    row,
                    record: record.as_ref(),
                };
                first_blocker(&case).is_none()
            };
            Ok(deployment.is_some_and(may_start))
        }
    }
}

pub(super) fn presence(online: Option<bool>) -> &'static str {
    match online {
        Some(true) => "online",
        Some(false) => "offline",
        None => "unknown",
    }
}

/// The fields of an item that come from a record.
pub(crate) fn of_record(record: &RecordRow) -> DeviceItem {
    let mut item = DeviceItem {
        attempt: Some(record.attempt.0),
        round: Some(record.round.0),
        late: record.late,
        ..DeviceItem::default()
    };
    match &record.state {
        RecordState::InProgress(step) => {
            item.status = Some(StatusWord::InProgress);
            item.retrying = record.lost || step.is_retrying();
            item.step = Some(step.word().to_owned());
            item.progress_percent = match step {
                Step::Downloading(percent) => Some(*percent),
                _ => None,
            };
            if let Step::RetryingAfter(cause) = step {
                item.retry_cause = Some(cause.to_string());
            }
        }
        RecordState::Successful(_) => item.status = Some(StatusWord::Successful),
        RecordState::Failed(failure) => failed(&mut item, failure),
        RecordState::TimedOut => {
            item.status = Some(StatusWord::Failed);
            item.reason = Some(Reason::TimedOut.word().to_owned());
            item.provisional = true;
        }
    }
    item
}

fn failed(item: &mut DeviceItem, failure: &Failure) {
    item.status = Some(StatusWord::Failed);
    item.reason = Some(failure.reason.word().to_owned());
    item.rollback = Some(failure.rollback.word().to_owned());
    if let Some(script) = failure.script {
        item.script = Some(script.kind.word().to_owned());
        item.script_end = Some(script.exit.word().to_owned());
        item.exit = match script.exit {
            ScriptExit::Code(code) => Some(i32::from(code)),
            ScriptExit::Signal(signal) => Some(-i32::from(signal)),
            ScriptExit::Timeout | ScriptExit::NotStarted | ScriptExit::Interrupted => None,
        };
    }
}

/// `device-show`
pub(crate) fn device_show(reader: &Reader, text: &str, now: Now) -> Queried<DeviceDetail> {
    let device: DeviceId = match name("device", text) {
        Ok(device) => device,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let unknown = || crate::rules::device::unknown(&device);
    let Some(row) = reader.read(&DeviceKey(device.clone()))? else {
        return Ok(Err(unknown()));
    };
    let Some((item, record)) = item(reader, &device, None, now)? else {
        return Ok(Err(unknown()));
    };
    let clone = reader.read(&CloneKey(device.clone()))?;
    let identity = identity::doubt(&device, &row, clone, now);
    let output = match record.map(|record| record.state) {
        Some(RecordState::Failed(failure)) if !failure.output.is_empty() => {
            Some(String::from_utf8_lossy(&failure.output).into_owned())
        }
        _ => None,
    };
    Ok(Ok(DeviceDetail {
        item,
        device_type: row.device_type,
        agent: row.agent,
        labels: row.labels.into_iter().collect::<BTreeMap<_, _>>(),
        key_pinned: row.public_key.is_some(),
        fingerprint: row.public_key.map(|key| key.fingerprint()),
        offered_fingerprint: row.offered_key.map(|key| key.fingerprint()),
        identity,
        ended: row.ended,
        output,
    }))
}
