//! Queries: everything that people may read, rendered from rows. A query asks for rows and pages
//! it lacks as values ([`Need`]); the adapter answers and asks again. Nothing here changes a row.

use std::collections::{BTreeMap, HashMap};

use hoist_protocol::codec::{DecodeError, Message, decode};
use hoist_protocol::id::{DeploymentId, DeviceId, GroupId, IdError, ReleaseId};

use crate::model::counter::Totals;
use crate::model::damage::Damage;
use crate::model::error::Rejection;
use crate::model::key::{
    DeploymentKey, FleetFreezeKey, ForgottenKey, GroupCountKey, GroupKey, Key, Prefix, ReleaseKey,
    ReleaseNameKey, RolloutKey, RowKey,
};
use crate::model::now::Now;
use crate::model::row::{CounterRow, GroupCountRow, InstanceRow, StartsEmpty};
use crate::model::txn::{Stored, Txn, Undecided};
use crate::query::explain::SpecsOut;
use crate::reply::view::{DeploymentView, GroupView};
use crate::reply::{FrozenItem, ReleaseDetail, ResultBody};
use crate::rules::deployment::retention;
use crate::rules::freeze::{self, Freeze};

mod audit;
pub mod body;
mod cursor;
mod device;
mod events;
pub mod explain;
mod fleet;
mod history;
mod identity;
mod list;
mod passes;
mod placed;
mod policy;
mod show;
pub mod survey;
mod walk;
mod why;

pub(crate) use audit::audit_list;
pub use cursor::Cursor;
pub(crate) use device::of_record;
pub(crate) use device::{device_list, device_show};
pub(crate) use events::event_list;
pub use fleet::{FleetCounts, fleet_counts, fleet_view};
pub(crate) use history::deployment_history;
use list::release_item;
pub(crate) use list::{deployment_list, enroll_list, enroll_waiting, group_list, release_list};
pub(crate) use passes::pass_list;
pub(crate) use policy::{policy_list, policy_show};
pub(crate) use show::deployment_show;
use walk::Walks;
pub(crate) use why::device_why;

/// Rows one scan asks for.
const SCAN_ROWS: usize = 100;
/// Rows that one list looks at before it says where to go on: some 10 ms of one processor,
/// so that a list of whom hardly anybody matches holds nobody up.
const LOOKED_AT_MAX: usize = 2_000;
/// Bytes of a page's items: the reply stays under 16 KiB.
const ITEMS_BYTES_MAX: usize = 15_000;

/// A part of a key range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The range.
    pub prefix: Prefix,
    /// Only keys above this one.
    pub after: Option<Key>,
    /// Most rows wanted.
    pub limit: usize,
}

/// The rows of a scan, in order of their keys.
pub type ScanPage = Vec<(Key, Vec<u8>)>;

/// The data that a query lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Rows to load, or a row that cannot be read.
    Rows(Undecided),
    /// A part of a range.
    Scan(Scan),
    /// The state at the broker of the specs of this group and this device, as far as it is known.
    Specs(GroupId, DeviceId),
}

impl From<Undecided> for Need {
    fn from(undecided: Undecided) -> Self {
        Self::Rows(undecided)
    }
}

/// The data that has been read for a query so far.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    rows: Txn,
    pages: HashMap<Key, BTreeMap<Option<Key>, ScanPage>>,
    specs: Option<SpecsOut>,
    walks: Walks,
    /// The only groups of whoever asks; empty means all.
    groups: Vec<GroupId>,
}

impl Reader {
    /// Reads for somebody who is limited to these groups; to none when there are none.
    pub fn limit_to(&mut self, groups: Vec<GroupId>) {
        self.groups = groups;
    }

    /// True for what is of a group of whoever asks, or of no group.
    fn may_see(&self, group: Option<&GroupId>) -> bool {
        self.groups.is_empty() || group.is_none_or(|group| self.groups.contains(group))
    }

    /// The rows that were loaded.
    pub(crate) fn rows(&self) -> &Txn {
        &self.rows
    }

    /// Where to load rows into.
    pub fn rows_mut(&mut self) -> &mut Txn {
        &mut self.rows
    }

    /// Adds the answer of a scan.
    pub fn page(&mut self, scan: Scan, rows: ScanPage) {
        if let Prefix::Devices | Prefix::Records(_) | Prefix::Deployments | Prefix::Revoked =
            scan.prefix
        {
            for (key, bytes) in &rows {
                // Nothing read is written again: which writing it is of does not matter.
                let bytes = bytes.clone();
                let generation = 0;
                self.rows
                    .load(key.clone(), Some(Stored { generation, bytes }));
            }
        }
        let pages = self.pages.entry(scan.prefix.bytes()).or_default();
        pages.insert(scan.after, rows);
    }

    /// Drops what was read of a range.
    fn forget(&mut self, prefix: &Prefix) {
        let pages = self.pages.remove(&prefix.bytes()).unwrap_or_default();
        for (key, _) in pages.into_values().flatten() {
            self.rows.unload(&key);
        }
    }

    /// Says what is known to be at the broker of the specs that were asked for.
    pub fn specs(&mut self, specs: SpecsOut) {
        self.specs = Some(specs);
    }

    /// A query asks for the specs of one device at most.
    fn specs_out(&self, group: &GroupId, device: &DeviceId) -> Result<SpecsOut, Need> {
        let ask = || Need::Specs(group.clone(), device.clone());
        self.specs.ok_or_else(ask)
    }

    fn scan(&self, prefix: &Prefix, after: Option<&Key>, limit: usize) -> Result<&ScanPage, Need> {
        let pages = self.pages.get(&prefix.bytes());
        let page = pages.and_then(|pages| pages.get(&after.cloned()));
        page.ok_or_else(|| {
            Need::Scan(Scan {
                prefix: prefix.clone(),
                after: after.cloned(),
                limit,
            })
        })
    }

    /// Every row of a range of bounded size.
    fn all(&self, prefix: &Prefix) -> Result<Vec<&(Key, Vec<u8>)>, Need> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let page = self.scan(prefix, after.as_ref(), SCAN_ROWS)?;
            rows.extend(page);
            match page.last() {
                Some((key, _)) if page.len() == SCAN_ROWS => after = Some(key.clone()),
                _ => return Ok(rows),
            }
        }
    }

    fn read<K: RowKey>(&self, key: &K) -> Result<Option<K::Row>, Need> {
        Ok(self.rows.read(key)?)
    }

    fn read_or_empty<K: RowKey<Row: StartsEmpty>>(&self, key: &K) -> Result<K::Row, Need> {
        Ok(self.rows.read_or_empty(key)?)
    }

    fn instance(&self) -> Result<InstanceRow, Need> {
        Ok(self.rows.instance()?)
    }

    fn want(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), Need> {
        Ok(self.rows.want(keys)?)
    }
}

fn row<R: Message>(key: &Key, bytes: &[u8]) -> Result<R, Need> {
    decode(bytes).map_err(|source| {
        let key = key.clone();
        Need::Rows(Damage::Unreadable { key, source }.into())
    })
}

/// The text in a key of this range that names something.
fn named(prefix: &Prefix, key: &Key) -> Result<String, Need> {
    prefix.rest(key).ok_or_else(|| {
        let (key, source) = (key.clone(), DecodeError::Malformed);
        Need::Rows(Damage::Unreadable { key, source }.into())
    })
}

/// The end of a query, or the data that it lacks.
pub type Queried<T> = Result<Result<T, Rejection>, Need>;

fn name<I: std::str::FromStr<Err = IdError>>(field: &str, text: &str) -> Result<I, Rejection> {
    crate::rules::text::parse_name(field, text)
}

/// The refusal of a deployment that is not there (any more).
fn no_deployment(reader: &Reader, id: DeploymentId) -> Result<Rejection, Need> {
    let forgotten = reader.read(&ForgottenKey(id))?;
    Ok(retention::no_deployment(id, forgotten))
}

/// The group a list is limited to, which must exist.
fn group_wish(reader: &Reader, text: Option<&str>) -> Queried<Option<GroupId>> {
    let Some(text) = text else {
        return Ok(Ok(None));
    };
    let group: GroupId = match name("group", text) {
        Ok(group) => group,
        Err(rejection) => return Ok(Err(rejection)),
    };
    Ok(match reader.read(&GroupKey(group.clone()))? {
        Some(_) => Ok(Some(group)),
        None => Err(crate::rules::group::unknown(&group)),
    })
}

/// `view/deployment/<n>`, or `None` when there is no such deployment.
///
/// # Errors
/// [`Need`]: answer it and ask again.
pub fn deployment_view(reader: &Reader, id: DeploymentId) -> Result<Option<DeploymentView>, Need> {
    let Some(row) = reader.read(&DeploymentKey(id))? else {
        return Ok(None);
    };
    let (totals, counted_ms) = totals(reader, id)?;
    let count = reader.read_or_empty(&GroupCountKey(row.group.clone()))?;
    let rollout = match row.allowed {
        Some(_) => reader.read(&RolloutKey(id))?,
        None => None,
    };
    let counted = (&totals, counted_ms);
    let mut view = DeploymentView::new(id, (&row, rollout.as_ref()), counted, count.members);
    view.frozen = row.end.is_none() && freeze_of(reader, &row.group)?.is_some();
    Ok(Some(view))
}

/// The freeze that a group is under; none of a group that is gone.
fn freeze_of(reader: &Reader, group: &GroupId) -> Result<Option<Freeze>, Need> {
    let key = GroupKey(group.clone());
    reader.want([key.key(), FleetFreezeKey.key()])?;
    match reader.read(&key)? {
        Some(row) => Ok(freeze::of(reader.rows(), &row)?),
        None => Ok(None),
    }
}

/// The freeze of everything, if there is one.
///
/// # Errors
/// [`Need`]: answer it and ask again.
pub fn frozen(reader: &Reader) -> Result<Option<FrozenItem>, Need> {
    let frozen = freeze::of_everything(reader.rows())?;
    Ok(frozen.as_ref().map(FrozenItem::of_everything))
}

/// The summed counters of a deployment, and when one of them changed last in Unix ms.
fn totals(reader: &Reader, id: DeploymentId) -> Result<(Totals, u64), Need> {
    let (mut totals, mut changed_ms) = (Totals::default(), 0);
    for (key, bytes) in reader.all(&Prefix::Counters(id))? {
        let counted = row::<CounterRow>(key, bytes)?;
        totals.add(&counted);
        changed_ms = changed_ms.max(counted.updated_ms);
    }
    Ok((totals, changed_ms))
}

/// `view/group/<g>`, or `None` when there is no such group.
///
/// # Errors
/// [`Need`]: answer it and ask again.
pub fn group_view(reader: &Reader, group: &GroupId, now: Now) -> Result<Option<GroupView>, Need> {
    let Some(row) = reader.read(&GroupKey(group.clone()))? else {
        return Ok(None);
    };
    let count = group_count(reader, group)?;
    let mut view = GroupView::new(group, &row, count, now.unix_ms);
    view.frozen = freeze_of(reader, group)?.as_ref().map(FrozenItem::of);
    Ok(Some(view))
}

/// A group's members, and who of them is known to be online (W8).
fn group_count(reader: &Reader, group: &GroupId) -> Result<GroupCountRow, Need> {
    let own = reader.rows().instance_key().key();
    reader.want([own, GroupCountKey(group.clone()).key()])?;
    let instance = reader.instance()?;
    let count = reader.read_or_empty(&GroupCountKey(group.clone()))?;
    Ok(count.in_run(instance.broker_run))
}

/// `release-show`
pub(crate) fn release_show(reader: &Reader, text: &str) -> Queried<ResultBody> {
    let unknown = || crate::rules::release::unknown(text);
    let id = match text.parse::<ReleaseId>() {
        Ok(id) => id,
        Err(_) => match reader.read(&ReleaseNameKey(text.to_owned()))? {
            Some(name) => name.release,
            None => return Ok(Err(unknown())),
        },
    };
    let release = reader.read(&ReleaseKey(id))?;
    Ok(release
        .map(|release| {
            ResultBody::Release(ReleaseDetail {
                item: release_item(id, &release),
                damaged: Vec::new(),
                next: None,
            })
        })
        .ok_or_else(unknown))
}
