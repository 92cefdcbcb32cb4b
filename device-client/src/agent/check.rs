//! Everything that an agent refuses at its start, found without starting: nothing is created, changed or
//! locked, so that it can be asked while the agent runs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::config::HostConfig;
use super::files::{Files, SystemFiles};
use super::identity::load_key;
use super::inventory::Inventory;
use super::journal::TwoSlots;
use super::runner::AgentError;
use super::state_dir::StateDirError;
use super::storage::StorageError;
use crate::record::{RECORD_BYTES_MAX, RING_BYTES_MAX, Record, Ring};

/// Ok if an agent would start with this configuration, as far as its files tell.
///
/// # Errors
/// The error that the agent would end with.
pub(super) fn start(host: &HostConfig) -> Result<(), AgentError> {
    let dir = &host.state_dir;
    usable(dir).map_err(|source| StateDirError::File {
        path: dir.clone(),
        source,
    })?;
    load_key(dir)?;
    readable(dir)?;
    std::fs::read(&host.boot_id_file).map_err(|source| AgentError::BootId {
        path: host.boot_id_file.clone(),
        source,
    })?;
    Ok(())
}

/// Ok if the state directory is one, or can be made, and we may write there.
fn usable(dir: &Path) -> io::Result<()> {
    let Some(there) = dir.ancestors().find(|path| path.symlink_metadata().is_ok()) else {
        return Ok(());
    };
    let found = match there == dir {
        // A link in its place is not followed.
        true => there.symlink_metadata()?,
        false => there.metadata()?,
    };
    match found.is_dir() {
        true => Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Ok if this agent understands what is kept there.
fn readable(dir: &Path) -> Result<(), StorageError> {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    TwoSlots::<Record>::open(files.clone(), dir, "journal", RECORD_BYTES_MAX)?;
    TwoSlots::<Ring>::open(files.clone(), dir, "outcomes", RING_BYTES_MAX)?;
    Inventory::load(files.as_ref(), dir)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::agent::runner::Agent;

    type Damage = fn(&mut HostConfig);

    fn state_dir(host: &HostConfig, name: &str) -> PathBuf {
        host.state_dir.join(name)
    }

    #[test]
    fn a_check_refuses_with_the_same_words_everything_that_the_agent_refuses_at_its_start() {
        // bad-inputs row 70
        let open_key: Damage = |host| {
            let key = state_dir(host, "device.key");
            fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        };
        let short_key: Damage = |host| fs::write(state_dir(host, "device.key"), "short").unwrap();
        let inventory: Damage = |host| {
            fs::write(state_dir(host, "inventory.toml"), "format = 99\n").unwrap();
        };
        let folder: Damage = |host| {
            let slot = state_dir(host, "journal.0");
            let _none = fs::remove_file(&slot);
            fs::create_dir(slot).unwrap();
        };
        let boot: Damage = |host| host.boot_id_file = "/nowhere/boot_id".into();
        for damage in [open_key, short_key, inventory, folder, boot] {
            let dir = tempfile::tempdir().unwrap();
            let mut host = HostConfig::local().unwrap();
            host.state_dir = dir.path().join("state");
            start(&host).unwrap();
            assert!(!host.state_dir.exists(), "a check makes nothing");
            drop(Agent::open(host.clone(), None).unwrap());
            start(&host).unwrap();
            damage(&mut host);
            let found = start(&host).unwrap_err();
            let refused = Agent::open(host, None).err().unwrap();
            assert_eq!(found.to_string(), refused.to_string());
            assert_eq!(found.code(), refused.code());
        }
    }

    #[test]
    fn a_state_directory_that_can_be_none_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let mut host = HostConfig::local().unwrap();
        for place in [file.clone(), file.join("state")] {
            host.state_dir = place.clone();
            let found = start(&host).unwrap_err();
            let refused = Agent::open(host.clone(), None).err().unwrap();
            assert_eq!(found.to_string(), refused.to_string(), "{place:?}");
        }
    }
}
