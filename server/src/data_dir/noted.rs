//! The newest backup that a data directory knows of, so that errors can name it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::DataDir;
use crate::private_file;

/// The newest backup of a data directory, as far as it knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Noted {
    /// Where it is.
    pub file: PathBuf,
    /// The moment that it shows, RFC 3339.
    pub created_at: String,
    /// How many it holds.
    pub rows: u64,
}

impl DataDir {
    /// Where the note on the newest backup is.
    fn backup_note(&self) -> PathBuf {
        self.root.join("backup.json")
    }

    /// Notes the newest backup, so that errors can name it.
    pub fn note_backup(&self, noted: &Noted) {
        if let Ok(text) = serde_json::to_vec(noted) {
            // Only a convenience: the backup is there without it.
            let _unnoted = private_file::write(&self.backup_note(), &text);
        }
    }

    /// The state that the newest known backup would bring back, and the way to do so, if there
    /// is one.
    pub(super) fn known_backup(&self) -> Option<String> {
        let text = private_file::read(&self.backup_note()).ok()?;
        let noted: Noted = serde_json::from_slice(&text).ok()?;
        noted.file.exists().then(|| {
            format!(
                "`hoist restore {} --data-dir {}` brings back the {} rows of {}",
                noted.file.display(),
                self.root.display(),
                noted.rows,
                noted.created_at
            )
        })
    }
}
