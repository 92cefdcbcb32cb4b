//! `run.json`: there while the agent runs, written by rename.

use std::io;
use std::path::{Path, PathBuf};

use super::config::HostConfig;
use super::files::{PRIVATE_FILE, SystemFiles, write_atomic};

/// The ready file; removed when dropped.
pub(super) struct Ready(PathBuf);

pub(super) fn write(state_dir: &Path, host: &HostConfig) -> io::Result<Ready> {
    let path = state_dir.join("run.json");
    // An id holds nothing that JSON would have to write in another way.
    let content = format!(
        "{{\"apiVersion\":\"hoist/v1\",\"device\":\"{}\",\"pid\":{}}}\n",
        host.device,
        std::process::id()
    );
    write_atomic(&SystemFiles, &path, content.as_bytes(), PRIVATE_FILE)?;
    // Not started by systemd is no error.
    let _alone = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    Ok(Ready(path))
}

/// Tells systemd's watchdog, if there is one, that the loop still turns.
pub(super) fn still_alive() {
    // Not started by systemd is no error.
    let _alone = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
}

/// Tells systemd that the agent ends because it was asked to.
pub(super) fn stopping() {
    // Not started by systemd is no error.
    let _alone = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

impl Drop for Ready {
    fn drop(&mut self) {
        // A ready file whose pid is dead counts as stale.
        let _stale = std::fs::remove_file(&self.0);
    }
}
