//! An open database: sled, with our own `fdatasync` after each flush, because on Linux
//! sled's flush does not reach the disk and a power cut would lose acknowledged batches.
//! A value is its generation (8 bytes, big-endian) and the bytes.

mod database;
mod read;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sled::IVec;

use self::database::{Format, flush, open_sled, quietly, sweep};

use super::super::seal::{Seal, SealFile};
use super::super::{Batch, CommitError, Fault, StoreError, holds};
use super::failure::{damaged, failing, of_sled};
use super::room::check_space;
use crate::durable_file;

/// The format of a store that is made now.
const FORMAT: Format = Format::LargeSegments;
/// Where the seal of the last commit is; no row's key begins like it.
const SEAL_KEY: &[u8] = b"\xffseal";

#[derive(Debug)]
pub(super) struct Open {
    path: PathBuf,
    db: sled::Db,
    /// A second descriptor of sled's data file, for `fdatasync`.
    data: File,
    seals: SealFile,
    /// Of the last commit.
    seal: Seal,
    /// The values before a commit that failed, of every key it was to change: sled may show what
    /// never became durable. Empty as long as none has failed.
    before: Before,
}

/// Keys with what is stored under them, if anything.
type Before = BTreeMap<Vec<u8>, Option<IVec>>;

impl Open {
    /// Opens the store that is there.
    pub(super) fn existing(path: &Path) -> Result<Self, StoreError> {
        let found = match std::fs::read_to_string(path.join("FORMAT")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unformatted(path)),
            read => read.map_err(|error| failing(path, &error))?,
        };
        let known = |format: &Format| found.trim_end() == format.name();
        let Some(known) = Format::ALL.into_iter().find(known) else {
            return Err(StoreError::new(Fault::Format, path, &found));
        };
        if !path.join("db").is_file() {
            let why = "its FORMAT file is there, its data file `db` is not";
            return Err(damaged(path, why));
        }
        Self::database(path, known)?.if_done(Self::check)
    }

    /// Makes a store where none is, nor a part of one.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        match ["FORMAT", "db"].iter().any(|file| path.join(file).exists()) {
            true => Err(failing(path, &io::ErrorKind::AlreadyExists.into())),
            false => Self::new(path),
        }
    }

    /// Opens a store after a failed write. Pages that could not be written may lie in the
    /// system's memory as if they had been: they are dropped, so that the disk is read.
    pub(super) fn reopen(path: &Path) -> Result<Self, StoreError> {
        for file in ["db", "seal"] {
            let file = File::open(path.join(file)).map_err(|error| failing(path, &error))?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
                .map_err(|error| failing(path, &error.into()))?;
        }
        Self::existing(path)
    }

    fn new(path: &Path) -> Result<Self, StoreError> {
        let io = |error: io::Error| failing(path, &error);
        std::fs::create_dir_all(path).map_err(io)?;
        Self::database(path, FORMAT)?.if_done(|open| {
            open.seal_as(Seal::default().first())?;
            // sled writes it once, never syncs it, and reads nothing without it.
            let conf = File::open(path.join("conf"));
            conf.and_then(|conf| conf.sync_all()).map_err(io)?;
            // Last, so that an unfinished creation is never taken for a store.
            let format = format!("{}\n", FORMAT.name());
            durable_file::write(&path.join("FORMAT"), format.as_bytes(), 0o600).map_err(io)?;
            let folder = path.parent();
            folder.map_or(Ok(()), durable_file::sync_folder).map_err(io)
        })
    }

    fn database(path: &Path, format: Format) -> Result<Self, StoreError> {
        check_space(path)?;
        sweep(path).map_err(|error| failing(path, &error))?;
        let db = open_sled(path, format)?;
        let files = File::open(path.join("db"))
            .and_then(|data| Ok((data, SealFile::open(&path.join("seal"))?)));
        match files {
            Ok((data, seals)) => Ok(Self {
                path: path.to_owned(),
                db,
                data,
                seals,
                seal: Seal::default(),
                before: Before::new(),
            }),
            Err(error) => {
                quietly(|| drop(db));
                Err(failing(path, &error))
            }
        }
    }

    /// Itself, when this can be done with it.
    fn if_done(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        match work(&mut self) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Lets go of the files.
    pub(super) fn close(self) {
        quietly(|| drop(self));
    }

    /// Compares all rows with the seal in the last commit, and that with the one in its own
    /// file, which is written after it: so it may be one commit behind, and never ahead.
    fn check(&mut self) -> Result<(), StoreError> {
        let mut found = Seal::default();
        let mut kept = None;
        for row in self.db.iter() {
            let (key, stored) = row.map_err(|error| self.failed(error))?;
            match &*key == SEAL_KEY {
                true => kept = Some(stored),
                false => found.add(&key, &stored),
            }
        }
        let kept = kept
            .map(|stored| Seal::decode(&stored).ok_or_else(|| self.damaged("its seal is none")));
        let kept = kept.transpose()?;
        let outside = self
            .seals
            .read()
            .map_err(|error| failing(&self.path, &error))?;
        let (Some(kept), Some(outside)) = (kept, outside) else {
            return self.check_unsealed(found, kept, outside);
        };
        if !kept.holds(&found) {
            return Err(self.damaged(&format!(
                "commit {} left {} rows, of which {} are there or they are others",
                kept.commits, kept.rows, found.rows
            )));
        }
        if kept.commits < outside.commits {
            return Err(self.damaged(&format!(
                "it went back to commit {} from commit {}",
                kept.commits, outside.commits
            )));
        }
        if kept.commits > outside.commits + 1
            || (kept.commits == outside.commits && kept != outside)
        {
            return Err(self.damaged("its file `seal` is not of this store"));
        }
        self.keep_seal(kept)
    }

    /// A store from before there were seals has none at all, and is sealed as it is.
    fn check_unsealed(
        &mut self,
        found: Seal,
        kept: Option<Seal>,
        outside: Option<Seal>,
    ) -> Result<(), StoreError> {
        let first = found.first();
        let begun = outside.is_none_or(|outside| outside == first);
        match (kept, outside) {
            (None, _) if begun && found.rows > 0 => self.seal_as(first),
            (None, None) => Err(self.damaged("it is empty, and it was not when it was closed")),
            (None, Some(outside)) => Err(self.damaged(&format!(
                "{} of the {} rows of commit {} are there",
                found.rows, outside.rows, outside.commits
            ))),
            (Some(_), _) => Err(self.damaged("its file `seal` is missing or empty")),
        }
    }

    /// Writes a first seal; outside first, so that one that was cut off is seen as begun. Its
    /// file is new, and must not lose its name either.
    fn seal_as(&mut self, seal: Seal) -> Result<(), StoreError> {
        self.keep_seal(seal)?;
        durable_file::sync_folder(&self.path).map_err(|error| failing(&self.path, &error))?;
        self.db
            .insert(SEAL_KEY, seal.encode().as_slice())
            .map_err(|error| self.failed(error))?;
        self.make_durable()
    }

    fn keep_seal(&mut self, seal: Seal) -> Result<(), StoreError> {
        self.seals
            .write(&seal)
            .map_err(|error| failing(&self.path, &error))?;
        self.seal = seal;
        Ok(())
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        flush(&self.db).map_err(|error| self.failed(error))?;
        self.data
            .sync_data()
            .map_err(|error| failing(&self.path, &error))
    }

    fn damaged(&self, why: &str) -> StoreError {
        damaged(&self.path, why)
    }

    fn failed(&self, error: sled::Error) -> StoreError {
        of_sled(&self.path, error)
    }

    /// Writes a batch with the seal of what there is then.
    pub(super) fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        let mut writes = sled::Batch::default();
        let mut seal = self.seal;
        let mut all_before = Before::new();
        for change in batch {
            let before = self
                .db
                .get(&change.key)
                .map_err(|error| self.failed(error))?;
            let found = before
                .as_ref()
                .map(|stored| self.versioned(stored))
                .transpose()?;
            let found = found.map(|row| row.generation);
            if !holds(change.expected, found) {
                return Err(CommitError::Conflict);
            }
            if let Some(stored) = &before {
                seal.remove(&change.key, stored);
            }
            all_before.insert(change.key.clone(), before);
            match change.value {
                Some(value) => {
                    let mut stored = (found.unwrap_or(0) + 1).to_be_bytes().to_vec();
                    stored.extend_from_slice(&value);
                    seal.add(&change.key, &stored);
                    writes.insert(change.key, stored);
                }
                None => writes.remove(change.key),
            }
        }
        seal.commits += 1;
        writes.insert(SEAL_KEY, seal.encode().as_slice());
        self.before = all_before;
        self.db
            .apply_batch(writes)
            .map_err(|error| self.failed(error))?;
        self.make_durable()?;
        self.keep_seal(seal)?;
        self.before.clear();
        Ok(())
    }
}

/// Of a folder without a FORMAT file, which a store gets last.
fn unformatted(path: &Path) -> StoreError {
    match path.join("db").exists() {
        true => damaged(path, "its data file `db` is there, its FORMAT file is not"),
        false => StoreError::missing(path),
    }
}
