//! The two-slot files of the agent: journal and outcome ring. Slots are written in turn,
//! in place, and synced, so a power cut tears at most the one that is not needed.

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, PRIVATE_FILE, read_optional};
use crate::record::{Slot, SlotError, read_slot, write_slot};

/// Why a two-slot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The slot.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A newer agent wrote it: this one must not guess.
    #[error("{} is of format {format}, newer than this agent: run the newer agent", path.display())]
    Newer {
        /// The slot.
        path: PathBuf,
        /// Its format.
        format: u8,
    },
    /// More than a slot may hold.
    #[error("{} would need {bytes} bytes, at most {limit} are allowed", path.display())]
    TooLarge {
        /// The slot.
        path: PathBuf,
        /// The bytes that it needs.
        bytes: usize,
        /// The bytes that it may have.
        limit: usize,
    },
}

/// The content of the two slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing was ever written.
    Nothing,
    /// The newest whole content.
    Content(T),
    /// Something was written and neither slot is whole (`E_STATE`, bad-inputs row 60).
    Lost,
}

/// Two files, written alternately.
#[derive(Debug)]
pub struct TwoSlots<T> {
    files: Arc<dyn Files>,
    paths: [PathBuf; 2],
    bytes_max: usize,
    sequence: u64,
    /// Which slot the next write replaces.
    next: usize,
    /// Slots whose entry in the folder is known to be durable.
    entered: [bool; 2],
    content: PhantomData<T>,
}

impl<T: Slot> TwoSlots<T> {
    /// Opens `<dir>/<name>.0` and `.1`, whose slots have at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`JournalError`]; damage is not an error but [`Found::Lost`].
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        name: &str,
        bytes_max: usize,
    ) -> Result<(Self, Found<T>), JournalError> {
        let paths = [0, 1].map(|slot| dir.join(format!("{name}.{slot}")));
        let mut newest: Option<(u64, T, usize)> = None;
        let mut damaged = 0;
        for (slot, path) in paths.iter().enumerate() {
            let bytes = read_durably(files.as_ref(), path, bytes_max);
            let bytes = bytes.map_err(|source| JournalError::File {
                path: path.clone(),
                source,
            })?;
            match read_slot(&bytes.unwrap_or_default()) {
                Ok((sequence, content)) => {
                    if newest.as_ref().is_none_or(|(best, ..)| sequence > *best) {
                        newest = Some((sequence, content, slot));
                    }
                }
                Err(SlotError::Empty) => {}
                Err(SlotError::Damaged) => damaged += 1,
                Err(SlotError::Newer { format }) => {
                    return Err(JournalError::Newer {
                        path: path.clone(),
                        format,
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
            entered: [false; 2],
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
        let written = self.replace(path, &bytes);
        written.map_err(|source| JournalError::File {
            path: path.clone(),
            source,
        })?;
        self.entered[self.next] = true;
        self.sequence += 1;
        self.next = 1 - self.next;
        Ok(())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.write_at(path, 0, bytes, PRIVATE_FILE)?;
        self.files.sync(path)?;
        match path.parent() {
            Some(folder) if !self.entered[self.next] => self.files.sync_dir(folder),
            _ => Ok(()),
        }
    }
}

/// A file that a killed program wrote and did not sync is read back like anything else. It is built
/// upon from now on, so it must not go with the power later.
fn read_durably(files: &dyn Files, path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    if files.exists(path) {
        files.sync(path)?;
    }
    // One byte too many makes the checksum fail.
    read_optional(files, path, bytes_max as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::files::SystemFiles;
    use std::fs;

    impl Slot for u64 {
        const NEWEST: u8 = 1;

        fn format(&self) -> u8 {
            1
        }

        fn encode(&self) -> Vec<u8> {
            self.to_le_bytes().to_vec()
        }

        fn decode(_format: u8, bytes: &[u8]) -> Option<Self> {
            Some(Self::from_le_bytes(bytes.try_into().ok()?))
        }
    }

    fn open(dir: &Path) -> (TwoSlots<u64>, Found<u64>) {
        TwoSlots::open(Arc::new(SystemFiles), dir, "journal", 64).unwrap()
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
