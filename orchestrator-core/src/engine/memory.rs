//! Rows in memory with automatic loading: the smallest adapter there is, for tests and the
//! simulator. It commits after every decision, as a batch of one.

use std::collections::BTreeMap;
use std::ops::Range;

use hoist_protocol::codec::decode;
use hoist_protocol::id::DeploymentId;

use crate::api::response::Decision;
use crate::engine::decide::{decide, hint};
use crate::engine::event::{self, Page};
use crate::engine::input::Input;
use crate::model::damage::Damage;
use crate::model::key::{DeviceKey, GroupKey, Key, Prefix, RecordKey, RowKey};
use crate::model::now::Now;
use crate::model::search::{Left, PassSeek, Seek};
use crate::model::timer::{Clock, Timer};
use crate::model::txn::{Stored, Txn, Undecided, Write};
use crate::query::explain::SpecsOut;
use crate::query::{Need, Reader, ScanPage};
use crate::rules::deployment::retention::left_of;
use crate::rules::pass::PassSearch;
use crate::rules::rollout::limit::{Known, Needs, Search};

/// Rounds of loading before a decision counts as stuck: each asks for at least one new row.
const ROUNDS_MAX: usize = 64;

/// A store in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows {
    rows: BTreeMap<Key, Stored>,
    generation: u64,
}

impl MemoryRows {
    /// Decides and commits one input.
    ///
    /// # Errors
    /// [`Undecided::Damaged`]; [`Undecided::Missing`] when loading never ends (a bug).
    pub fn decide(&mut self, input: &Input, now: Now) -> Result<Decision, Undecided> {
        let mut txn = Txn::default();
        let own = txn.instance_key().key();
        self.load(&mut txn, [hint(input), vec![own]].concat());
        let mut rounds = 0;
        loop {
            match decide(&mut txn, input, now) {
                Err(Undecided::Missing(keys)) if rounds < ROUNDS_MAX => self.load(&mut txn, keys),
                Err(undecided) => return Err(undecided),
                Ok(decision) => {
                    self.commit(&txn.writes());
                    return Ok(decision);
                }
            }
            rounds += 1;
        }
    }

    /// Loads rows into a transaction.
    pub fn load(&self, txn: &mut Txn, keys: Vec<Key>) {
        for key in keys {
            let row = self.rows.get(&key).cloned();
            txn.load(key, row);
        }
    }

    /// These rows, or their absence, in the same order.
    #[must_use]
    pub fn stored(&self, keys: &[Key]) -> Vec<Option<Stored>> {
        keys.iter().map(|key| self.rows.get(key).cloned()).collect()
    }

    /// A part of a range.
    #[must_use]
    pub fn page(&self, scan: &event::Scan) -> Page {
        let after = |key: &Key| scan.after.as_ref().is_none_or(|after| key > after);
        let rows = self.scan(&scan.prefix).filter(|(key, _)| after(key));
        let mut rows: Vec<(Key, Vec<u8>)> = rows
            .take(scan.limit + 1)
            .map(|(key, bytes)| (key.clone(), bytes.to_vec()))
            .collect();
        let more = rows.len() > scan.limit;
        rows.truncate(scan.limit);
        Page { rows, more }
    }

    /// Commits writes that were decided on what this store has.
    pub fn commit(&mut self, writes: &[Write]) {
        for write in writes {
            self.generation += 1;
            let generation = self.generation;
            let stored = write.bytes.clone();
            match stored.map(|bytes| Stored { generation, bytes }) {
                Some(stored) => self.rows.insert(write.key.clone(), stored),
                None => self.rows.remove(&write.key),
            };
        }
    }

    /// A copy of the rows under these keys.
    #[must_use]
    pub fn part(&self, of: impl Fn(&Key) -> bool) -> Self {
        let rows = self.rows.iter().filter(|(key, _)| of(key));
        Self {
            rows: rows
                .map(|(key, stored)| (key.clone(), stored.clone()))
                .collect(),
            generation: self.generation,
        }
    }

    /// Adds the rows of another part.
    pub fn join(&mut self, other: &Self) {
        let rows = other.rows.iter();
        self.rows
            .extend(rows.map(|(key, stored)| (key.clone(), stored.clone())));
        self.generation = self.generation.max(other.generation);
    }

    /// Finds a line at once: the answer to [`crate::model::effect::Effect::FindLine`].
    ///
    /// # Errors
    /// [`Undecided::Damaged`].
    pub fn find_line(&self, seek: &Seek) -> Result<Input, Undecided> {
        let group = self.read(&GroupKey(seek.group.clone()))?;
        // The line of a group that was removed since is void, whatever it is.
        let turn = group.map_or(0, |row| row.turn);
        let mut search = Search::new(seek.clone(), turn);
        let prefix = Prefix::Members(seek.group.clone());
        for (key, bytes) in self.scan(&prefix.bytes()) {
            let row = decode(bytes).map_err(|source| {
                let key = key.clone();
                Undecided::Damaged(Damage::Unreadable { key, source })
            })?;
            if let Some(Ok(device)) = prefix.rest(key).map(|text| text.parse()) {
                let (mut of, mut record) = (None, None);
                if search.needs(&device, &row) != Needs::Nothing {
                    of = self.read(&DeviceKey(device.clone()))?;
                    record = self.read(&RecordKey(seek.deployment, device.clone()))?;
                }
                let began = match search.in_place_of() {
                    Some(id) => self.read(&RecordKey(id, device.clone()))?.is_some(),
                    None => false,
                };
                let known = Known {
                    device: of.as_ref(),
                    record: record.as_ref(),
                    began,
                };
                search.member(device, &row, known);
            }
        }
        Ok(Input::LineFound(Box::new(search.found())))
    }

    /// A page of what is left of a removed deployment: the answer to
    /// [`crate::model::effect::Effect::Sweep`].
    #[must_use]
    pub fn left(&self, deployment: DeploymentId, at_most: usize) -> Input {
        let ranges = left_of(deployment).map(|prefix| prefix.bytes());
        let all = ranges.iter().flat_map(|range| self.scan(range));
        let mut keys: Vec<Key> = all.map(|(key, _)| key.clone()).take(at_most + 1).collect();
        let more = keys.len() > at_most;
        keys.truncate(at_most);
        Input::Left(Box::new(Left {
            deployment,
            keys,
            more,
        }))
    }

    /// The next devices that a pass has to change: the answer to
    /// [`crate::model::effect::Effect::Pass`].
    ///
    /// # Errors
    /// [`Undecided::Damaged`].
    pub fn pass_page(&self, seek: &PassSeek) -> Result<Input, Undecided> {
        let mut search = PassSearch::new(seek.clone());
        let after = search.after().cloned();
        let mut more = false;
        for (key, bytes) in self.scan(&Prefix::Devices.bytes()) {
            let Some(Ok(device)) = Prefix::Devices.rest(key).map(|text| text.parse()) else {
                continue;
            };
            if after.as_ref().is_some_and(|after| device <= *after) {
                continue;
            }
            let row = decode(bytes).map_err(|source| {
                let key = key.clone();
                Undecided::Damaged(Damage::Unreadable { key, source })
            })?;
            if search.device(device, &row) {
                more = true;
                break;
            }
        }
        Ok(Input::PassPage(Box::new(search.found(more))))
    }

    /// Reads one row.
    ///
    /// # Errors
    /// [`Undecided::Damaged`].
    pub fn read<K: RowKey>(&self, key: &K) -> Result<Option<K::Row>, Undecided> {
        let key = key.key();
        let row = self.rows.get(&key).map(|stored| decode(&stored.bytes));
        row.transpose()
            .map_err(|source| Damage::Unreadable { key, source }.into())
    }

    /// Every key and value that starts with a prefix, in order.
    pub fn scan<'a>(&'a self, prefix: &Key) -> impl Iterator<Item = (&'a Key, &'a [u8])> + use<'a> {
        let prefix = prefix.clone();
        self.rows
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.0.starts_with(&prefix.0))
            .map(|(key, stored)| (key, stored.bytes.as_slice()))
    }

    /// The timers due by `now`, in order of due time, each clock by itself; of each at most
    /// so many.
    #[must_use]
    pub fn due(&self, now: Now, at_most: usize) -> Vec<Timer> {
        let due = |keys: Range<Key>| {
            let keys = self.rows.range(keys).map(|(key, _)| key);
            keys.filter_map(Timer::parse).take(at_most)
        };
        let unix = due(Clock::Unix.due(now.unix_ms));
        unix.chain(due(Clock::Uptime.due(now.uptime_ms))).collect()
    }

    /// Answers what a [`Reader`] needs until `read` has everything.
    ///
    /// # Errors
    /// What `read` ends in, other than a need.
    pub fn query<T, E>(
        &self,
        mut read: impl FnMut(&mut Reader) -> Result<Result<T, E>, Need>,
    ) -> Result<Result<T, E>, Undecided> {
        let mut reader = Reader::default();
        loop {
            match read(&mut reader) {
                Ok(done) => return Ok(done),
                Err(Need::Rows(Undecided::Missing(keys))) => self.load(reader.rows_mut(), keys),
                Err(Need::Rows(undecided)) => return Err(undecided),
                Err(Need::Scan(scan)) => {
                    let prefix = scan.prefix.bytes();
                    let rows: ScanPage = self
                        .scan(&prefix)
                        .filter(|(key, _)| scan.after.as_ref().is_none_or(|after| *key > after))
                        .take(scan.limit)
                        .map(|(key, bytes)| (key.clone(), bytes.to_vec()))
                        .collect();
                    reader.page(scan, rows);
                }
                // Whoever has only rows has published what they desire.
                Err(Need::Specs(..)) => reader.specs(SpecsOut::HELD),
            }
        }
    }
}
