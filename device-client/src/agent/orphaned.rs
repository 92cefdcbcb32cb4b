//! Scripts that outlived an agent that was killed. They are in nobody's hand, and must
//! not run beside what the next agent does: it ends them before anything else.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

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
fn groups(state_dir: &Path) -> Vec<i32> {
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
    let own = Place::of("self").map_or(0, |own| own.group);
    let group = |pid: i32| {
        let place = Place::of(&pid.to_string())?;
        // An agent that a script started belongs to that script's group.
        let others = [0, own, place.session];
        let is_orphaned = !others.contains(&place.group);
        is_orphaned.then_some(place.group)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours);
    let mut groups = Vec::new();
    for group in ours.filter_map(group) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Where a process belongs. An id is 0 when its leader lives outside this PID namespace, as
/// the session of everything in a container may; a group 0 can neither be told from another
/// nor signalled, so it is nobody's.
#[derive(Debug, PartialEq)]
struct Place {
    group: i32,
    session: i32,
}

impl Place {
    /// Of the process `pid`, a number or `self`; none when it is gone.
    fn of(pid: &str) -> Option<Place> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Place::parse(&String::from_utf8_lossy(&stat))
    }

    /// Reads `/proc/PID/stat`: `pid (name) state parent group session …` (proc(5)). The name
    /// may hold anything, parentheses and spaces too.
    fn parse(stat: &str) -> Option<Place> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut fields = behind_name.split_ascii_whitespace().skip(2);
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        Some(Place { group, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_and_session_of_a_process_are_read_whatever_it_is_called() {
        let place = |stat| Place::parse(stat).unwrap();
        assert_eq!(
            place("41 (sh) S 40 41 7 0 -1 4194304"),
            Place {
                group: 41,
                session: 7
            }
        );
        assert_eq!(
            place("41 (a) S 1 2) (3) R 40 0 0 0 -1"),
            Place {
                group: 0,
                session: 0
            }
        );
        assert_eq!(Place::parse("41 (sh) S 40"), None);
        assert_eq!(Place::parse(""), None);
    }

    #[test]
    fn this_very_process_has_a_place() {
        assert_eq!(
            Place::of("self"),
            Place::of(&std::process::id().to_string())
        );
        assert!(Place::of("self").is_some());
    }
}
