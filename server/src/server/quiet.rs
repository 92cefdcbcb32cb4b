//! A server that has stopped, and in whose place no other starts yet.

use std::path::{Path, PathBuf};

use hoist_orchestrator::recovery::Recovered;

use super::Fleet;
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::lock::Lock;

/// The rest of a server: nobody is heard any more, so that decisions made now are the last.
pub struct Quiet {
    pub(super) data_dir: DataDir,
    pub(super) fleet: Fleet,
    pub(super) found: Found,
    pub(super) _lock: Lock,
}

/// The findings of a recovery at its start.
#[derive(Default)]
pub struct Found {
    /// Where the store is that could not be used.
    pub aside: Option<PathBuf>,
    /// The files beside the store that are kept and cannot be used.
    pub unusable: Vec<String>,
}

impl Quiet {
    /// Ends a recovery: stops whatever may have been aborted since, lets a server start here
    /// again, and says what came back. Cut off, the recovery is begun again.
    ///
    /// # Errors
    /// `E_RECOVER`, `E_DATA_DIR`.
    pub async fn recovered(&self, since_ms: u64) -> Result<Recovered, Failure> {
        let recovered = self.fleet.over(since_ms).await?;
        self.data_dir.end_recovery()?;
        Ok(recovered)
    }

    /// The findings at the start.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.root()
    }
}
