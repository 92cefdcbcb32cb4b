//! The fault of a store, and the remedy for just that fault.

use hoist_orchestrator::store::{Fault, StoreError, Trouble};
use hoist_protocol::code::Code;

use crate::data_dir::DataDir;
use crate::failure::Failure;

/// A store that cannot be used.
pub fn store_failure(error: &StoreError, data_dir: &DataDir) -> Failure {
    let (code, help) = match error.fault() {
        Fault::Missing => {
            return Failure::new(Code::Recover, error.to_string()).help(data_dir.way_back());
        }
        Fault::Damaged => {
            let help = format!("stop here, and keep a copy. {}", data_dir.way_back());
            let what = "the store cannot be used";
            return Failure::because(Code::StoreDamaged, what, error).help(help);
        }
        Fault::Format => (
            Code::Store,
            "start the version that wrote it; nothing was changed",
        ),
        Fault::Io(Trouble::Full) => (Code::Space, "free some space there; nothing is damaged"),
        Fault::Io(Trouble::ReadOnly) => (
            Code::Store,
            "mount the file system writable; nothing is damaged",
        ),
        Fault::Io(Trouble::Denied) => (
            Code::Store,
            "give the directory and all in it to the user that runs the server; nothing is damaged",
        ),
        Fault::Io(Trouble::Failing) => (Code::Store, "look at the disk and the system's log"),
    };
    Failure::because(code, "the store cannot be used", error).help(help)
}
