//! The two-slot files of the agent: journal and outcome ring. Slots are written in turn
//! and synced, so a power cut tears at most the one that is not needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files::{PRIVATE_FILE, no_follow, sync_dir};
use crate::record::{SlotError, read_slot, write_slot};

/// Why a two-slot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The slot.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A newer agent wrote it: this one must not guess.
    #[error("{} is of format {version}, newer than this agent: run the newer agent", path.display())]
    Newer {
        /// The slot.
        path: PathBuf,
        /// Its format.
        version: u8,
    },
    /// More than a slot may hold.
    #[error("{} would need {bytes} bytes, at most {limit} are allowed", path.display())]
    TooLarge {
        /// The slot.
        path: PathBuf,
        /// What it needs.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
}

/// What was found in the two slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing was ever written.
    Nothing,
    /// The newest whole content.
    Content(T),
    /// Something was written and neither slot is whole (`E_STATE`, row 60).
    Lost,
}

/// The few operations of a file system that slots need, so that the power can be cut
/// between any two of them. What is not synced may be lost.
pub trait SlotFiles {
    /// A written file that is not synced yet.
    type Written;

    /// At most `bytes_max` + 1 bytes of a file; nothing if it does not exist.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn read(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>>;

    /// Whether the file exists.
    fn exists(&self, path: &Path) -> bool;

    /// Writes a file in the place of its old content.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<Self::Written>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync(&self, written: Self::Written) -> io::Result<()>;

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The system's own files.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl SlotFiles for SystemFiles {
    type Written = File;

    fn read(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(no_follow())
            .open(path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        // One byte too many makes the checksum fail.
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE_FILE)
            .custom_flags(no_follow())
            .open(path)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync(&self, written: File) -> io::Result<()> {
        written.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        sync_dir(path)
    }
}

/// Two files, written alternately.
#[derive(Debug)]
pub struct TwoSlots<T, F = SystemFiles> {
    files: F,
    paths: [PathBuf; 2],
    bytes_max: usize,
    sequence: u64,
    /// Which slot the next write replaces.
    next: usize,
    content: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> TwoSlots<T> {
    /// [`TwoSlots::open_in`] the system's files.
    ///
    /// # Errors
    /// [`JournalError`]; damage is not an error but [`Found::Lost`].
    pub fn open(
        dir: &Path,
        name: &str,
        bytes_max: usize,
    ) -> Result<(Self, Found<T>), JournalError> {
        Self::open_in(SystemFiles, dir, name, bytes_max)
    }
}

impl<T: Serialize + DeserializeOwned, F: SlotFiles> TwoSlots<T, F> {
    /// Opens `<dir>/<name>.0` and `.1`, whose slots have at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`JournalError`]; damage is not an error but [`Found::Lost`].
    pub fn open_in(
        files: F,
        dir: &Path,
        name: &str,
        bytes_max: usize,
    ) -> Result<(Self, Found<T>), JournalError> {
        let paths = [0, 1].map(|slot| dir.join(format!("{name}.{slot}")));
        let mut newest: Option<(u64, T, usize)> = None;
        let mut damaged = 0;
        for (slot, path) in paths.iter().enumerate() {
            let bytes = files
                .read(path, bytes_max)
                .map_err(|source| JournalError::File {
                    path: path.clone(),
                    source,
                })?;
            match read_slot(&bytes) {
                Ok((sequence, content)) => {
                    if newest.as_ref().is_none_or(|(best, ..)| sequence > *best) {
                        newest = Some((sequence, content, slot));
                    }
                }
                Err(SlotError::Empty) => {}
                Err(SlotError::Damaged) => damaged += 1,
                Err(SlotError::Newer { version }) => {
                    return Err(JournalError::Newer {
                        path: path.clone(),
                        version,
                    });
                }
            }
        }
        let mut slots = Self {
            files,
            paths,
            bytes_max,
            sequence: 0,
            next: 0,
            content: PhantomData,
        };
        let found = match newest {
            Some((sequence, content, slot)) => {
                slots.sequence = sequence;
                slots.next = 1 - slot;
                Found::Content(content)
            }
            None if damaged > 0 => Found::Lost,
            None => Found::Nothing,
        };
        Ok((slots, found))
    }

    /// Makes new content durable.
    ///
    /// # Errors
    /// [`JournalError`]; the content before is then still there, and the same slot is
    /// written next time.
    pub fn write(&mut self, content: &T) -> Result<(), JournalError> {
        let path = &self.paths[self.next];
        let bytes = write_slot(self.sequence + 1, content);
        if bytes.len() > self.bytes_max {
            return Err(JournalError::TooLarge {
                path: path.clone(),
                bytes: bytes.len(),
                limit: self.bytes_max,
            });
        }
        replace(&self.files, path, &bytes).map_err(|source| JournalError::File {
            path: path.clone(),
            source,
        })?;
        self.sequence += 1;
        self.next = 1 - self.next;
        Ok(())
    }
}

fn replace<F: SlotFiles>(files: &F, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let is_new = !files.exists(path);
    let written = files.overwrite(path, bytes)?;
    files.sync(written)?;
    match path.parent() {
        Some(folder) if is_new => files.sync_dir(folder),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(dir: &Path) -> (TwoSlots<u64>, Found<u64>) {
        TwoSlots::open(dir, "journal", 64).unwrap()
    }

    #[test]
    fn the_newest_whole_slot_counts_whichever_is_torn() {
        // bad-inputs row 60
        let dir = tempfile::tempdir().unwrap();
        let (mut slots, found) = open(dir.path());
        assert_eq!(found, Found::Nothing);
        for content in [10, 11, 12] {
            slots.write(&content).unwrap();
        }
        assert_eq!(open(dir.path()).1, Found::Content(12));
        let whole = fs::read(dir.path().join("journal.0")).unwrap();
        for length in 0..whole.len() {
            fs::write(dir.path().join("journal.0"), &whole[..length]).unwrap();
            let (mut slots, found) = open(dir.path());
            assert_eq!(found, Found::Content(11), "cut to {length} bytes");
            assert_eq!(slots.next, 0);
            slots.write(&13).unwrap();
            assert_eq!(open(dir.path()).1, Found::Content(13));
        }
    }

    #[test]
    fn two_damaged_slots_are_lost_and_never_taken_for_a_new_device() {
        // bad-inputs row 60
        let dir = tempfile::tempdir().unwrap();
        let (mut slots, _) = open(dir.path());
        slots.write(&1).unwrap();
        slots.write(&2).unwrap();
        for slot in ["journal.0", "journal.1"] {
            let mut bytes = fs::read(dir.path().join(slot)).unwrap();
            bytes[3] ^= 1;
            fs::write(dir.path().join(slot), bytes).unwrap();
        }
        assert_eq!(open(dir.path()).1, Found::Lost);
    }
}
