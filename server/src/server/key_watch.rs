//! Looks for keys that were replaced while the server runs: a stolen key is worth something for as
//! long as devices believe it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hoist_orchestrator::config;
use hoist_protocol::id::Namespace;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::data_dir::DataDir;
use crate::failure::chain;
use crate::keys::{Keys, KeysError};

/// The time between two looks at the folder.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks at the keys of one server.
pub(super) struct KeyWatch {
    dir: PathBuf,
    namespace: Namespace,
    told: watch::Sender<Option<config::Keys>>,
}

impl KeyWatch {
    /// One that has not looked yet, and where it tells of newer keys.
    pub(super) fn new(
        data_dir: &DataDir,
        namespace: &Namespace,
    ) -> (Self, watch::Receiver<Option<config::Keys>>) {
        let (told, new_keys) = watch::channel(None);
        let watch = Self {
            dir: data_dir.keys(),
            namespace: namespace.clone(),
            told,
        };
        (watch, new_keys)
    }

    /// Looks until it is stopped, and tells of each newer root document with its keys.
    pub(super) async fn run(self) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = changed_at(&self.dir);
        loop {
            tick.tick().await;
            let now = changed_at(&self.dir);
            if now == known {
                continue;
            }
            known = now;
            match load(&self.dir, &self.namespace).await {
                Ok(keys) => drop(self.told.send_replace(Some(keys))),
                Err(why) => tracing::error!(
                    "the keys were changed and cannot be used: the server goes on with those \
                     before them: {why}"
                ),
            }
        }
    }
}

async fn load(dir: &Path, namespace: &Namespace) -> Result<config::Keys, String> {
    let (dir, namespace) = (dir.to_owned(), namespace.clone());
    let load = move || -> Result<Keys, KeysError> { Keys::load(&dir, &namespace) };
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(keys)) => Ok(keys.service),
        Ok(Err(error)) => Err(chain(&error)),
        Err(error) => Err(error.to_string()),
    }
}

/// When the newest root document was written last.
fn changed_at(dir: &Path) -> Option<SystemTime> {
    let newest = std::fs::metadata(dir.join("root.bin"));
    newest.and_then(|meta| meta.modified()).ok()
}
