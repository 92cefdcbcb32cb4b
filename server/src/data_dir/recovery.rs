//! The mark of a recovery that has begun and is not over, and the place where a lost store goes.

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
    pub fn begin_recovery(&self, origin: &str) -> Result<(), Failure> {
        private_file::write(&self.recovery(), origin.as_bytes())
            .map_err(|error| self.unusable(error))
    }

    /// True if a recovery was begun and is not over.
    pub fn is_recovering(&self) -> bool {
        self.recovery().exists()
    }

    /// Where a restored store is until everything else of the backup is there.
    pub fn store_new(&self) -> PathBuf {
        self.root.join("store.new")
    }

    /// Begins to put a backup back: until that is done, only another restore does anything
    /// here.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub fn begin_restore(&self, origin: &str) -> Result<(), Failure> {
        let new = self.store_new();
        if new.exists() {
            fs::remove_dir_all(&new)
                .map_err(PrivateFileError::io("remove", &new))
                .map_err(|error| self.unusable(error))?;
        }
        let made = private_file::create_dir(&new).and_then(|()| private_file::sync_dir(&self.root));
        made.map_err(|error| self.unusable(error))?;
        self.begin_recovery(origin)
    }

    /// Gives the restored store its name. Returns where the one is that was there.
    ///
    /// # Errors
    /// `E_DATA_DIR`.
    pub fn end_restore(&self) -> Result<Option<PathBuf>, Failure> {
        let aside = self.move_store_aside()?;
        let (new, store) = (self.store_new(), self.store());
        let named = fs::rename(&new, &store).map_err(PrivateFileError::io("rename", &new));
        named
            .and_then(|()| private_file::sync_dir(&self.root))
            .map_err(|error| self.unusable(error))?;
        Ok(aside)
    }

    /// Refuses to go on from the half of a backup.
    pub(super) fn refuse_restoring(&self) -> Result<(), Failure> {
        let new = self.store_new();
        if !new.exists() {
            return Ok(());
        }
        let what = format!("a restore into {} was cut off", self.root.display());
        Err(Failure::new(Code::Recover, what).help(format!(
            "repeat `hoist restore FILE --data-dir {}`; to go on without the backup, remove {}",
            self.root.display(),
            new.display()
        )))
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
    pub fn end_recovery(&self) -> Result<(), Failure> {
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
    pub fn move_store_aside(&self) -> Result<Option<PathBuf>, Failure> {
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
