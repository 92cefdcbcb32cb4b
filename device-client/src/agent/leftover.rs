//! Scripts that outlived an agent that was killed. They are in nobody's hand, and must
//! not run beside what the next agent does: it ends them before anything else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgid, getpgrp, getsid, kill_process_group};

use super::work::PAYLOAD_DIR;

/// A killed process is gone within milliseconds, unless a broken disk holds it.
const ROUNDS_MAX: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Kills every process group that runs scripts of this state directory, and waits until
/// they are gone. A daemon with a session of its own stays, as after a script's normal
/// end. The caller holds the directory's lock, so no living agent owns any of them.
pub(super) fn end(state_dir: &Path) {
    for _ in 0..ROUNDS_MAX {
        let groups = groups(state_dir);
        if groups.is_empty() {
            return;
        }
        for group in groups.into_iter().filter_map(Pid::from_raw) {
            tracing::warn!(
                group = group.as_raw_pid(),
                "a script outlived its agent; ending it"
            );
            // Gone meanwhile is what we want.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        sleep(PAUSE);
    }
    tracing::error!("scripts of an earlier agent cannot be ended");
}

/// The process groups whose environment names a payload of this state directory: it is
/// inherited by everything that a script starts.
fn groups(state_dir: &Path) -> BTreeSet<i32> {
    let mut marker = format!("{PAYLOAD_DIR}=").into_bytes();
    marker.extend_from_slice(state_dir.as_os_str().as_bytes());
    marker.push(b'/');
    let is_ours = |pid: &i32| {
        // Unreadable is somebody else's.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(&marker))
    };
    let group = |pid: i32| {
        let pid = Pid::from_raw(pid)?;
        let (group, session) = (getpgid(Some(pid)).ok()?, getsid(Some(pid)).ok()?);
        // An agent that a script started belongs to that script's group.
        (group != session && group != getpgrp()).then_some(group.as_raw_pid())
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours)
        .filter_map(group)
        .collect()
}
