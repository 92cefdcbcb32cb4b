//! Looks for keys that were replaced while the server runs: a stolen key is worth something for as
//! long as devices believe it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hoist_orchestrator::config;
use hoist_orchestrator::health::{Health, Stops};
use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::data_dir::DataDir;
use crate::failure::chain;
use crate::keys::{Keys, KeysError};

/// The time between two looks at the folder.
const PERIOD: Duration = Duration::from_secs(1);
/// The subject of what is wrong, for [`Health`].
const ABOUT: &str = "keys";

/// The facts that tell one version of a file from the next: two may be of one moment.
type Version = (u64, SystemTime);

/// Looks at the keys of one server.
pub(super) struct KeyWatch {
    dir: PathBuf,
    namespace: Namespace,
    health: Health,
    told: watch::Sender<Option<config::Keys>>,
    /// The number of the root document that the server goes by.
    number: u32,
    /// The version of its file; absent until it is known that the server goes by it.
    seen: Option<Version>,
}

impl KeyWatch {
    /// One that has not looked yet, for a server that goes by these keys, and where it tells of
    /// newer ones.
    pub(super) fn new(
        data_dir: &DataDir,
        namespace: &Namespace,
        keys: &Keys,
        health: &Health,
    ) -> (Self, watch::Receiver<Option<config::Keys>>) {
        let (told, new_keys) = watch::channel(None);
        let watch = Self {
            dir: data_dir.keys(),
            namespace: namespace.clone(),
            health: health.clone(),
            told,
            number: keys.service.root_number,
            seen: None,
        };
        (watch, new_keys)
    }

    /// Looks until it is stopped, and tells of each newer root document with its keys.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look().await;
        }
    }

    /// Looks once. Keys that cannot be used are read again with each look.
    async fn look(&mut self) {
        let now = version(&self.dir);
        if now.is_some() && now == self.seen {
            return;
        }
        match load(&self.dir, &self.namespace).await {
            Ok(keys) => {
                self.seen = now;
                self.health.end(ABOUT);
                if keys.root_number != self.number {
                    self.number = keys.root_number;
                    self.told.send_replace(Some(keys));
                }
            }
            Err((code, why)) => self.tell(code, &why),
        }
    }

    fn tell(&self, code: Code, why: &str) {
        let detail = format!("the server goes on with the keys that it has: {why}");
        if !self.health.is_known(ABOUT) {
            tracing::error!(
                code = code.as_str(),
                why,
                "the keys cannot be used, those before them stay in effect"
            );
        }
        self.health.begin(ABOUT, code, &detail, Stops::Part);
    }
}

async fn load(dir: &Path, namespace: &Namespace) -> Result<config::Keys, (Code, String)> {
    let (dir, namespace) = (dir.to_owned(), namespace.clone());
    let load = move || -> Result<Keys, KeysError> { Keys::load(&dir, &namespace) };
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(keys)) => Ok(keys.service),
        Ok(Err(error)) => Err((error.code(), chain(&error))),
        Err(error) => Err((Code::System, error.to_string())),
    }
}

/// The version of the newest root document's file.
fn version(dir: &Path) -> Option<Version> {
    let meta = std::fs::metadata(dir.join("root.bin")).ok()?;
    Some((meta.ino(), meta.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use hoist_protocol::id::Generation;
    use hoist_protocol::root::KeyRole;

    use super::*;
    use crate::keys::{self, Given, NewKey, Rotation, Wanted, key_file};

    fn rotate(dir: &Path) {
        let wanted = Wanted {
            role: KeyRole::Orchestrator,
            new: NewKey::Made,
            also: false,
            anew: false,
            only_tries: false,
        };
        let mut rotation = Rotation::begin(dir, &wanted, Generation(9)).unwrap();
        rotation.sign_here().unwrap();
        rotation.finish().unwrap();
    }

    fn number(told: &mut watch::Receiver<Option<config::Keys>>) -> Option<u32> {
        let told = told.borrow_and_update();
        told.as_ref().map(|keys| keys.root_number)
    }

    #[tokio::test]
    async fn a_rotation_before_the_first_look_is_seen_and_one_that_cannot_be_read_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(dir.path());
        let (keys, namespace) = (data_dir.keys(), Namespace::default());
        keys::create(&keys, &namespace, Generation(7), &Given::default()).unwrap();
        let health = Health::default();
        let first = Keys::load(&keys, &namespace).unwrap();
        let watching = || KeyWatch::new(&data_dir, &namespace, &first, &health);
        let (mut watch, mut told) = watching();
        watch.look().await;
        assert_eq!(number(&mut told), None, "nothing is new");
        let (mut watch, mut told) = watching();
        // While the store opens.
        rotate(&keys);
        watch.look().await;
        assert_eq!(number(&mut told), Some(2));

        rotate(&keys);
        let key = key_file(&keys, KeyRole::Orchestrator);
        let away = dir.path().join("away");
        std::fs::rename(&key, &away).unwrap();
        watch.look().await;
        assert_eq!(number(&mut told), Some(2));
        let [problem] = &health.problems()[..] else {
            panic!("{:?}", health.problems());
        };
        assert_eq!((&*problem.about, problem.code), ("keys", Code::Key));
        std::fs::rename(&away, &key).unwrap();
        watch.look().await;
        assert_eq!(number(&mut told), Some(3));
        assert_eq!(health.problems(), []);
    }
}
