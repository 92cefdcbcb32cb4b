//! The fault of a store, and the remedy for just that fault.

use hoist_orchestrator::store::{StoreError, Trouble};
use hoist_protocol::code::Code;

use crate::data_dir::DataDir;
use crate::failure::Failure;

/// A store that cannot be used.
pub fn store_failure(error: &StoreError, data_dir: &DataDir) -> Failure {
    let (code, help) = match error {
        StoreError::Missing { path } => {
            let what = format!("there is no store in {}", path.display());
            return Failure::new(Code::Recover, what).help(data_dir.way_back());
        }
        StoreError::Damaged { .. } => {
            let help = format!("stop here, and keep a copy. {}", data_dir.way_back());
            let what = "the store cannot be used";
            return Failure::because(Code::StoreDamaged, what, error).help(help);
        }
        StoreError::Format { .. } => (
            Code::Store,
            "start the version that wrote it; nothing was changed",
        ),
        StoreError::Io { trouble, .. } => match trouble {
            Trouble::Full => (Code::Space, "free some space there; nothing is damaged"),
            Trouble::ReadOnly => (
                Code::Store,
                "mount the file system writable; nothing is damaged",
            ),
            Trouble::Denied => (
                Code::Store,
                "give the directory and all in it to the user that runs the server; nothing is damaged",
            ),
            Trouble::Failing => (Code::Store, "look at the disk and the system's log"),
        },
    };
    Failure::because(code, "the store cannot be used", error).help(help)
}
