//! The devices' disks, after the story.

use std::path::{Path, PathBuf};

use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

use super::casting::Casting;
use super::fixture::{self, FIRMWARE};

/// Checks the firmware that the devices really have: the old one where the sensor is broken, the
/// new one everywhere else.
pub(super) fn check(casting: &Casting, work_of: impl Fn(&str) -> PathBuf) -> Result<(), Failure> {
    for (index, device) in casting.devices.iter().enumerate() {
        let path = work_of(device).join(FIRMWARE);
        let content = std::fs::read(&path).map_err(|error| failed(&path, &error))?;
        let is_old = content == fixture::old_firmware(device).into_bytes();
        if is_old != (index == casting.broken) {
            let which = if is_old { "old" } else { "new" };
            return Err(Failure::new(
                Code::Demo,
                format!("{device} has the {which} firmware, against the story"),
            ));
        }
    }
    Ok(())
}

/// A file of the demo that cannot be read or written.
pub(super) fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::because(Code::File, path.display(), error)
}
