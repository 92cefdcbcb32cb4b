//! `run.json`: there while the agent runs, written by rename.

use std::io;
use std::path::{Path, PathBuf};

use super::config::HostConfig;
use super::files::{PRIVATE_FILE, SystemFiles, write_atomic};

/// The ready file; removed when dropped.
pub(super) struct Ready(PathBuf);

pub(super) fn write(state_dir: &Path, host: &HostConfig) -> io::Result<Ready> {
    let path = state_dir.join("run.json");
    let content = serde_json::json!({
        "apiVersion": "hoist/v1",
        "pid": std::process::id(),
        "device": host.device.as_str(),
    });
    write_atomic(
        &SystemFiles,
        &path,
        format!("{content}\n").as_bytes(),
        PRIVATE_FILE,
    )?;
    // Not started by systemd is no error.
    let _alone = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    Ok(Ready(path))
}

/// Tells systemd's watchdog, if there is one, that the loop still turns.
pub(super) fn still_alive() {
    // Not started by systemd is no error.
    let _alone = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}

impl Drop for Ready {
    fn drop(&mut self) {
        // A ready file whose pid is dead counts as stale.
        let _stale = std::fs::remove_file(&self.0);
    }
}
