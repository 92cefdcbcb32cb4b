//! How far a sink is, and what it did not take: files of their own, so that nothing waits for them
//! but their sink.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hoist_orchestrator_core::model::kept::EventId;
use hoist_protocol::id::Name;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::FOLDER;
use crate::private_file;

/// Events that are remembered as not taken; of more, the oldest go.
pub const DEAD_MAX: usize = 1_000;

/// How far a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The last event that it took, or that was given up.
    pub behind: String,
    /// Since when it does not take the next one, Unix seconds.
    #[serde(default)]
    pub failing_since: Option<u64>,
    /// Why, as it was said last.
    #[serde(default)]
    pub why: Option<String>,
}

impl Progress {
    /// Behind an event, with nothing wrong.
    pub(super) fn at(id: EventId) -> Self {
        Self {
            behind: id.to_string(),
            ..Self::default()
        }
    }

    /// The event that it is behind.
    pub(super) fn id(&self) -> Option<EventId> {
        self.behind.parse().ok()
    }
}

/// What people see of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// How far it is; nothing until a server has seen it.
    pub progress: Option<Progress>,
    /// The events that it did not take.
    pub dead: Vec<Value>,
}

/// Reads what is known of a sink.
#[must_use]
pub fn standing(data_dir: &Path, sink: &Name) -> Standing {
    let state = State::of(data_dir, sink);
    Standing {
        progress: state.progress(),
        dead: state.dead(),
    }
}

/// The files of a sink.
#[derive(Debug, Clone)]
pub(super) struct State {
    folder: PathBuf,
    sink: Name,
}

impl State {
    pub(super) fn of(data_dir: &Path, sink: &Name) -> Self {
        Self {
            folder: data_dir.join(FOLDER),
            sink: sink.clone(),
        }
    }

    fn file(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}", self.sink))
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        let content = private_file::read(&self.file("json")).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// Writes how far it is, durably.
    pub(super) fn save(&self, progress: &Progress) -> io::Result<()> {
        let content = serde_json::to_vec(progress).map_err(io::Error::other)?;
        private_file::create_dir(&self.folder).map_err(io::Error::other)?;
        private_file::write(&self.file("json"), &content).map_err(io::Error::other)
    }

    /// The events that it did not take, oldest first.
    pub(super) fn dead(&self) -> Vec<Value> {
        let content = private_file::read(&self.file("dead")).unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Remembers an event as not taken, durably.
    pub(super) fn bury(&self, event: &str, why: &str) -> io::Result<()> {
        private_file::create_dir(&self.folder).map_err(io::Error::other)?;
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let line = format!("{}\n", json!({"why": why, "event": event}));
        let path = self.file("dead");
        let mut dead = self.dead();
        if dead.len() >= DEAD_MAX {
            let kept = dead.split_off(dead.len() + 1 - DEAD_MAX);
            let mut text: String = kept.iter().map(|it| format!("{it}\n")).collect();
            text += &line;
            return private_file::write(&path, text.as_bytes()).map_err(io::Error::other);
        }
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    /// Forgets a sink that is no more.
    pub(super) fn forget(&self) {
        for what in ["json", "dead"] {
            let _gone = std::fs::remove_file(self.file(what));
        }
    }
}

/// Forgets what is known of a sink that was removed.
pub(super) fn forget(data_dir: &Path, sink: &Name) {
    State::of(data_dir, sink).forget();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_sink_is_read_back_and_dead_events_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let sink: Name = "ops".parse().unwrap();
        assert_eq!(standing(dir.path(), &sink), Standing::default());
        let state = State::of(dir.path(), &sink);
        let progress = Progress {
            behind: "5-7".into(),
            failing_since: Some(1),
            why: Some("it answers 500".into()),
        };
        state.save(&progress).unwrap();
        for number in 0..DEAD_MAX + 2 {
            if !(2..=DEAD_MAX - 3).contains(&number) {
                state
                    .bury(&format!("{{\"id\":\"{number}\"}}"), "gone")
                    .unwrap();
            } else {
                // As if it had been buried, but quicker.
                let mut file = OpenOptions::new()
                    .append(true)
                    .open(state.file("dead"))
                    .unwrap();
                writeln!(file, "{{\"event\":{{\"id\":\"{number}\"}}}}").unwrap();
            }
        }
        let known = standing(dir.path(), &sink);
        assert_eq!(known.progress, Some(progress));
        assert_eq!(known.dead.len(), DEAD_MAX);
        assert_eq!(known.dead[0]["event"]["id"], "2");
        forget(dir.path(), &sink);
        assert_eq!(standing(dir.path(), &sink), Standing::default());
    }
}
