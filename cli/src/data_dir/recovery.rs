//! What says that a recovery has begun and is not over, and where a lost store goes.

use std::fs;
use std::path::PathBuf;

use hoist_protocol::code::Code;

use super::DataDir;
use crate::failure::Failure;
use crate::private_file::{self, PrivateFileError};

impl DataDir {
    /// There while no server may start: the store is lost or older than it was.
    fn recovery(&self) -> PathBuf {
        self.root.join("recovery")
    }

    /// Lets no server start until a recovery is over; `origin` says why. Before anything is
    /// moved or made.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub(crate) fn begin_recovery(&self, origin: &str) -> Result<(), Failure> {
        private_file::write(&self.recovery(), origin.as_bytes())
            .map_err(|error| self.unusable(error))
    }

    /// Whether a recovery was begun and is not over.
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovery().exists()
    }

    /// Refuses to serve while a recovery is not over.
    pub(super) fn refuse_recovering(&self) -> Result<(), Failure> {
        let Ok(origin) = fs::read_to_string(self.recovery()) else {
            return Ok(());
        };
        let what = format!("{origin}, and a recovery is not over");
        let root = self.root.display();
        let help = format!("`hoist recover --data-dir {root}` asks the fleet what is not known");
        Err(Failure::new(Code::Recover, what).help(help))
    }

    /// A recovery is over.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub(crate) fn end_recovery(&self) -> Result<(), Failure> {
        let removed = fs::remove_file(self.recovery());
        removed
            .map_err(PrivateFileError::io("remove", &self.recovery()))
            .map_err(|error| self.unusable(error))
    }

    /// Moves what is left of a store out of the way; nothing of it is deleted. Where nothing
    /// is, nothing is moved.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub(crate) fn move_store_aside(&self) -> Result<Option<PathBuf>, Failure> {
        let store = self.store();
        let holds = |mut folder: fs::ReadDir| folder.next().is_some();
        if !fs::read_dir(&store).is_ok_and(holds) {
            return Ok(None);
        }
        let mut number = 1;
        let aside = loop {
            let aside = self.root.join(format!("store.lost-{number}"));
            if !aside.exists() {
                break aside;
            }
            number += 1;
        };
        let moved = fs::rename(&store, &aside).map_err(PrivateFileError::io("move away", &store));
        moved
            .and_then(|()| private_file::sync_dir(&self.root))
            .map_err(|error| self.unusable(error))?;
        Ok(Some(aside))
    }
}
