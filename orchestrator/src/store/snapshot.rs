//! All rows of a store as one stream of bytes, whole or not at all: what a backup holds. Each
//! row is the length of its key (4 bytes, little-endian), the key, the length of its value
//! and the value; after the last one come a length of zero, how many there were (8 bytes) and
//! the SHA-256 of everything before it.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::{Change, Expected, Store};

/// The bytes that a snapshot begins with.
const MAGIC: &[u8] = b"hoist-rows 1\n";
/// Longest key or value that is believed: far more than any row has.
const BYTES_MAX: u32 = 1 << 24;
/// Rows written at once: the batch that the store is best at.
const BATCH: usize = 512;

/// Why a snapshot cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read, or ends too early.
    #[error("it cannot be read to its end")]
    Read(#[from] io::Error),
    /// It is none, or damaged.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] super::CommitError),
}

/// Writes a snapshot row by row.
pub(super) struct SnapshotWriter<W> {
    out: W,
    hash: Sha256,
    rows: u64,
}

impl<W: Write> SnapshotWriter<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let (hash, rows) = (Sha256::new(), 0);
        let mut writer = Self { out, hash, rows };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            self.put(&length.to_le_bytes())?;
            self.put(part)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the end; how many rows there are.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.put(&0_u32.to_le_bytes())?;
        let rows = self.rows;
        self.put(&rows.to_le_bytes())?;
        let digest = self.hash.finalize();
        self.out.write_all(&digest)?;
        self.out.flush()?;
        Ok(rows)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads a snapshot row by row.
pub struct SnapshotReader<R> {
    from: R,
    hash: Sha256,
    rows: u64,
}

impl<R: Read> SnapshotReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`SnapshotError`] for what is no snapshot.
    pub fn new(from: R) -> Result<Self, SnapshotError> {
        let (hash, rows) = (Sha256::new(), 0);
        let mut reader = Self { from, hash, rows };
        let magic = reader.take(MAGIC.len())?;
        if magic != MAGIC {
            return Err(SnapshotError::Damaged(
                "it does not begin as rows of a store",
            ));
        }
        Ok(reader)
    }

    /// The next row; none after the last one, when all of them proved whole.
    ///
    /// # Errors
    /// [`SnapshotError`].
    #[expect(clippy::type_complexity, reason = "a key and its value, or the end")]
    pub fn next_row(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>, SnapshotError> {
        let key = self.part()?;
        if !key.is_empty() {
            self.rows += 1;
            return Ok(Some((key, self.part()?)));
        }
        let counted = self.take(8)?;
        if counted != self.rows.to_le_bytes() {
            return Err(SnapshotError::Damaged("rows are missing"));
        }
        let digest = self.hash.clone().finalize();
        let mut kept = [0; 32];
        self.from.read_exact(&mut kept)?;
        if digest[..] != kept {
            return Err(SnapshotError::Damaged("its rows are not those of its end"));
        }
        Ok(None)
    }

    fn part(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let length = self.take(4)?;
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        if length > BYTES_MAX {
            return Err(SnapshotError::Damaged("a row is longer than any is"));
        }
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }
}

/// Writes every row of a snapshot into a store that has none; how many there were. What is
/// not whole leaves a store that nobody may use.
///
/// # Errors
/// [`SnapshotError`].
pub async fn import<R: Read + Send>(
    store: &dyn Store,
    mut reader: SnapshotReader<R>,
) -> Result<u64, SnapshotError> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some((key, value)) = reader.next_row()? {
        let (expected, value) = (Expected::Absent, Some(value));
        batch.push(Change {
            key,
            expected,
            value,
        });
        if batch.len() == BATCH {
            store.commit(std::mem::take(&mut batch)).await?;
        }
    }
    store.commit(batch).await?;
    Ok(reader.rows)
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    fn snapshot(rows: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::new(&mut bytes).unwrap();
        for (key, value) in rows {
            writer.row(key, value).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<usize, SnapshotError> {
        let mut reader = SnapshotReader::new(bytes)?;
        let mut rows = 0;
        while reader.next_row()?.is_some() {
            rows += 1;
        }
        Ok(rows)
    }

    #[tokio::test]
    async fn rows_come_back_as_they_were() {
        let rows: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"ab", b""), (b"b", b"2")];
        let bytes = snapshot(&rows);
        let store = MemoryStore::default();
        let reader = SnapshotReader::new(bytes.as_slice()).unwrap();
        assert_eq!(import(&store, reader).await.unwrap(), 3);
        let page = store.scan(Vec::new(), None, 10).await.unwrap();
        let found: Vec<(&[u8], &[u8])> = page
            .items
            .iter()
            .map(|(key, row)| (key.as_slice(), row.value.as_slice()))
            .collect();
        assert_eq!(found, rows);
    }

    #[test]
    fn a_snapshot_that_is_cut_or_changed_anywhere_is_refused() {
        let bytes = snapshot(&[(b"a", b"one"), (b"b", b"two")]);
        assert_eq!(read(&bytes).unwrap(), 2);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut at {length}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x20;
            assert!(read(&changed).is_err(), "changed at {place}");
        }
    }
}
