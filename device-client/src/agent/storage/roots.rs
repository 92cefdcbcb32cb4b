//! Root documents on disk, each in a file of its own.

use super::{MESSAGE_BYTES_MAX, Storage, StorageError};

/// The pinned root document, as received.
const ROOT_FILE: &str = "root.bin";

impl Storage {
    /// Keeps the pinned root document.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn keep_root(&self, sealed: &[u8]) -> Result<(), StorageError> {
        self.write(ROOT_FILE, sealed)
    }

    /// Keeps a root document that follows the pinned one. Each has a file of its own: those before
    /// it prove it.
    ///
    /// # Errors
    /// [`StorageError`]; it must not be followed then.
    pub fn keep_next_root(&self, number: u32, sealed: &[u8]) -> Result<(), StorageError> {
        self.write(&next_root_file(number), sealed)
    }

    /// The root document of this number that followed the pinned one, as received.
    #[must_use]
    pub fn next_root(&self, number: u32) -> Option<Vec<u8>> {
        let path = self.places.0.join(next_root_file(number));
        self.files.read(&path, MESSAGE_BYTES_MAX).ok()
    }

    /// The pinned root document, as received.
    #[must_use]
    pub fn root(&self) -> Option<Vec<u8>> {
        let path = self.places.0.join(ROOT_FILE);
        self.files.read(&path, MESSAGE_BYTES_MAX).ok()
    }
}

fn next_root_file(number: u32) -> String {
    format!("root.{number}.bin")
}
