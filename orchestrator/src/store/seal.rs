//! The seal of a store: the number of its last commit, and a sum over all of its rows. It is
//! written twice, into the commit itself and into a file of its own after it, so that a store that
//! lost something, or went back to what it was, is told from a whole one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes of a seal.
const SEAL_BYTES: usize = 48;
const CHECKSUM_BYTES: usize = 8;
/// A slot is a block of its own: a torn write leaves the other one alone.
const SLOT_BYTES: u64 = 4_096;
const SLOTS: u64 = 2;

/// Number and content of a store's last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seal {
    /// Commits so far.
    pub(super) commits: u64,
    /// Rows there are.
    pub(super) rows: u64,
    /// The sum of all rows' hashes, in four lanes that wrap: adding and removing a row costs
    /// one hash, and no two rows take each other's place.
    sum: [u64; 4],
}

impl Seal {
    /// Of these rows as the first commit.
    pub(super) fn first(self) -> Self {
        Self { commits: 1, ..self }
    }

    /// A row is there from now on.
    pub(super) fn add(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        for (lane, hash) in self.sum.iter_mut().zip(row_hash(key, stored)) {
            *lane = lane.wrapping_add(hash);
        }
    }

    /// A row is no longer there.
    pub(super) fn remove(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        for (lane, hash) in self.sum.iter_mut().zip(row_hash(key, stored)) {
            *lane = lane.wrapping_sub(hash);
        }
    }

    /// True if it is about the same rows.
    pub(super) fn holds(&self, other: &Self) -> bool {
        (self.rows, self.sum) == (other.rows, other.sum)
    }

    pub(super) fn encode(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [0; SEAL_BYTES];
        let numbers = [self.commits, self.rows].into_iter().chain(self.sum);
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEAL_BYTES] = bytes.try_into().ok()?;
        let mut numbers = [0; SEAL_BYTES / 8];
        for (number, place) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_be_bytes(place.try_into().ok()?);
        }
        let [commits, rows, sum @ ..] = numbers;
        Some(Self { commits, rows, sum })
    }
}

fn row_hash(key: &[u8], stored: &[u8]) -> [u64; 4] {
    let mut hash = Sha256::new();
    hash.update(u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(key);
    hash.update(stored);
    let hash: [u8; 32] = hash.finalize().into();
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(hash.chunks_exact(8)) {
        *lane = bytes
            .iter()
            .fold(0, |lane, byte| (lane << 8) | u64::from(*byte));
    }
    lanes
}

/// The file with the newest seals, in two slots.
#[derive(Debug)]
pub(super) struct SealFile(File);

impl SealFile {
    /// Opens the file, or makes one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(path).map(Self)
    }

    /// The newest whole seal, if there is any.
    pub(super) fn read(&self) -> io::Result<Option<Seal>> {
        let mut newest: Option<Seal> = None;
        for slot in 0..SLOTS {
            let mut bytes = [0; SEAL_BYTES + CHECKSUM_BYTES];
            match self.0.read_exact_at(&mut bytes, slot * SLOT_BYTES) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let (seal, sum) = bytes.split_at(SEAL_BYTES);
            let whole = Some(seal).filter(|seal| checksum(seal) == sum);
            let seal = whole.and_then(Seal::decode);
            newest = newest
                .into_iter()
                .chain(seal)
                .max_by_key(|seal| seal.commits);
        }
        Ok(newest)
    }

    /// Writes a seal durably, over the older of the two.
    pub(super) fn write(&self, seal: &Seal) -> io::Result<()> {
        let bytes = seal.encode();
        let slot = (seal.commits % SLOTS) * SLOT_BYTES;
        let whole = [bytes.as_slice(), &checksum(&bytes)].concat();
        self.0.write_all_at(&whole, slot)?;
        self.0.sync_data()
    }
}

fn checksum(seal: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash: [u8; 32] = Sha256::digest(seal).into();
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hash[..CHECKSUM_BYTES]);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&[u8], &[u8])]) -> Seal {
        let mut seal = Seal::default();
        for (key, stored) in rows {
            seal.add(key, stored);
        }
        seal
    }

    #[test]
    fn a_seal_is_of_the_rows_whatever_their_order_and_of_no_others() {
        let rows: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"ab", b""), (b"b", b"2")];
        let whole = of(&rows);
        let mut turned = rows;
        turned.reverse();
        assert!(whole.holds(&of(&turned)));
        assert!(!whole.holds(&of(&rows[..2])));
        assert!(!whole.holds(&of(&[(b"a", b"2"), (b"ab", b""), (b"b", b"1")])));
        assert!(!whole.holds(&of(&[(b"a", b"1"), (b"a", b"b"), (b"b", b"2")])));
        let mut changed = whole;
        changed.remove(b"b", b"2");
        assert!(changed.holds(&of(&rows[..2])));
        assert_eq!(Seal::decode(&whole.encode()), Some(whole));
    }

    #[test]
    fn a_torn_slot_leaves_the_seal_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal");
        let file = SealFile::open(&path).unwrap();
        assert_eq!(file.read().unwrap(), None);
        let seal = |commits| Seal {
            commits,
            ..of(&[(b"a", b"1")])
        };
        for commits in 1..=5 {
            file.write(&seal(commits)).unwrap();
            assert_eq!(file.read().unwrap(), Some(seal(commits)));
        }
        for torn in 0..SEAL_BYTES + CHECKSUM_BYTES {
            file.write(&seal(5)).unwrap();
            let at = SLOT_BYTES + u64::try_from(torn).unwrap();
            file.0.write_all_at(&[0x5a], at).unwrap();
            let read = file.read().unwrap();
            assert!(
                read == Some(seal(4)) || read == Some(seal(5)),
                "{torn}: {read:?}"
            );
        }
    }
}
