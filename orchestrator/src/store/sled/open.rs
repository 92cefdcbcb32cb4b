//! An open database: sled, with our own `fdatasync` after each flush, because on Linux
//! sled's flush does not reach the disk and a power cut would lose acknowledged batches.
//! A value is its generation (8 bytes, big-endian) and the bytes.

mod read;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use sled::IVec;

use super::super::seal::{Seal, SealFile};
use super::super::{Batch, CommitError, StoreError, Trouble, holds};
use super::room::check_space;
use crate::durable_file;

/// What `FORMAT` says of a store that is made now.
const FORMAT: Format = Format::LargeSegments;
/// Where the seal of the last commit is; no row's key begins like it.
const SEAL_KEY: &[u8] = b"\xffseal";
/// sled's own threads may hold the file's lock for a moment after it was closed.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// After this, a flush may be one that nobody wakes.
const FLUSH_SLOW: Duration = Duration::from_millis(500);

/// How a store is laid out; its `FORMAT` file says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// sled's own segments of half a megabyte. A node of 128 KiB goes to a file of its own,
    /// which sled never syncs and removes too early: a power cut may lose it.
    SmallSegments,
    /// A node has at most some twenty rows, and none of ours has 48 KiB: all stay in the log.
    LargeSegments,
}

impl Format {
    const ALL: [Self; 2] = [Self::SmallSegments, Self::LargeSegments];

    fn name(self) -> &'static str {
        match self {
            Self::SmallSegments => "hoist-store 1",
            Self::LargeSegments => "hoist-store 2",
        }
    }

    fn segment_bytes(self) -> usize {
        match self {
            Self::SmallSegments => 512 * 1024,
            Self::LargeSegments => 4 * 1024 * 1024,
        }
    }
}

#[derive(Debug)]
pub(super) struct Open {
    path: PathBuf,
    db: sled::Db,
    /// A second descriptor of sled's data file, for `fdatasync`.
    data: File,
    seals: SealFile,
    /// Of the last commit.
    seal: Seal,
    /// What was stored before a commit that failed, of every key it was to change: sled may
    /// show what never became durable. Empty as long as none has failed.
    before: Before,
}

/// Keys with what is stored under them, if anything.
type Before = BTreeMap<Vec<u8>, Option<IVec>>;

impl Open {
    /// Opens a store, or makes one where nothing is.
    pub(super) fn create_or_open(path: &Path) -> Result<Self, StoreError> {
        match std::fs::read_to_string(path.join("FORMAT")) {
            Ok(_) => Self::existing(path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failing(path, &error)),
            Err(_) if path.join("db").exists() => Err(StoreError::Format {
                path: path.join("FORMAT"),
                found: String::new(),
            }),
            Err(_) => Self::new(path),
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

    fn existing(path: &Path) -> Result<Self, StoreError> {
        let format = path.join("FORMAT");
        let found = std::fs::read_to_string(&format).map_err(|error| failing(path, &error))?;
        let known = |format: &Format| found.trim_end() == format.name();
        let Some(known) = Format::ALL.into_iter().find(known) else {
            return Err(StoreError::Format {
                path: format,
                found,
            });
        };
        if !path.join("db").is_file() {
            let why = "its FORMAT file is there, its data file `db` is not";
            return Err(damaged(path, why));
        }
        Self::database(path, known)?.if_done(Self::check)
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

    /// Writes a first seal; outside first, so that one that was cut off is seen as begun.
    fn seal_as(&mut self, seal: Seal) -> Result<(), StoreError> {
        self.keep_seal(seal)?;
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

/// Waits until what was written is with the system. When a write of sled's own threads fails
/// (`exit_reservation`), sled keeps the error and wakes nobody: whoever waits here would wait
/// for ever. Another flush finds the error at once and wakes the others, so that one follows
/// when this one is slow.
fn flush(db: &sled::Db) -> Result<(), sled::Error> {
    std::thread::scope(|scope| {
        let (done, slow) = mpsc::channel::<Infallible>();
        scope.spawn(move || {
            let mut pause = FLUSH_SLOW;
            while slow.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                scope.spawn(|| db.flush());
                pause *= 2;
            }
        });
        let flushed = db.flush().map(drop);
        drop(done);
        flushed
    })
}

/// sled panics when it is let go and cannot write what is left: that is not worth anything.
fn quietly(work: impl FnOnce()) {
    let _done = catch_unwind(AssertUnwindSafe(work));
}

/// Removes what a kill left of an index of the pages: sled writes it beside its name, and then
/// reads the unfinished one as if it were the newest. It is made anew from the log.
fn sweep(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Opens sled; it panics over some damage.
fn open_sled(path: &Path, format: Format) -> Result<sled::Db, StoreError> {
    let begun = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(path)
            .segment_size(format.segment_bytes())
            .flush_every_ms(None);
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error))) if is_locked(&error) && begun.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Ok(Err(error)) => return Err(of_sled(path, error)),
            Err(_) => return Err(damaged(path, "its data file `db` cannot be read")),
        }
    }
}

fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("lock")
}

fn of_sled(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => failing(path, &error),
        other => damaged(path, &other.to_string()),
    }
}

fn damaged(path: &Path, why: &str) -> StoreError {
    let (path, why) = (path.to_owned(), why.to_owned());
    StoreError::Damaged { path, why }
}

pub(super) fn failing(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        trouble: Trouble::of(error.kind()),
        why: error.to_string(),
    }
}
