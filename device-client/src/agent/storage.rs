//! Everything the agent keeps across a power cut: journal, outcome ring, the messages it
//! must obey or finish without the network, the inventory, and what the way back needs.
//! Does what the session wants kept, and nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_protocol::code::Code;
use hoist_protocol::codec::decode_prefix;
use hoist_protocol::envelope::signer_of;
use hoist_protocol::id::{ArtifactId, ReleaseId, sha256};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::spec::DeviceSpec;
use hoist_protocol::status::ScriptKind;

mod floor;
mod roots;

use super::download::{Artifact, DownloadError, read_start};
use super::files::{Files, PRIVATE_DIR, PRIVATE_FILE, read_optional, write_atomic};
use super::inventory::{Condition, InstalledArtifact, Inventory, InventoryError};
use super::journal::{Found, JournalError, TwoSlots};
use crate::record::{Floor, RECORD_BYTES_MAX, RING_BYTES_MAX, Record, Ring};
use crate::session::Keep;

use floor::{bytes_of, floor_of};

/// Far more than any of the kept messages.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// The device's own spec, as received.
const HEAD_FILE: &str = "head";
/// The generation of the own spec that was forgotten because the device was removed or revoked.
const FORGOTTEN_FILE: &str = "forgotten";
/// The manifest of the started release.
const RELEASE_FILE: &str = "release";

/// True if the device was removed or revoked, and has heard nothing since that says otherwise.
#[must_use]
pub fn is_turned_out(files: &dyn Files, dir: &Path) -> bool {
    files.exists(&dir.join(FORGOTTEN_FILE)) && !files.exists(&dir.join(HEAD_FILE))
}

/// Why something cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Journal or ring.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The inventory.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// Anything else.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

impl StorageError {
    /// The stable code: `E_SPACE` when the disk is full, else `E_STORAGE` (bad-inputs row 58).
    #[must_use]
    pub fn code(&self) -> Code {
        let source = match self {
            Self::Journal(JournalError::File { source, .. })
            | Self::Inventory(InventoryError::File { source, .. })
            | Self::File { source, .. } => source,
            Self::Journal(JournalError::Newer { .. }) => return Code::Version,
            Self::Journal(_) | Self::Inventory(_) => return Code::State,
        };
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::Space,
            _ => Code::Storage,
        }
    }

    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }
}

/// A manifest that was checked, until the machine starts it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The release.
    pub id: ReleaseId,
    /// The manifest as received, in its envelope if it has one.
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub release: ReleaseManifest,
}

/// The state that was found on disk.
#[derive(Debug)]
pub struct Restored {
    /// The journal, if it was ever written.
    pub record: Option<Record>,
    /// The outcome ring.
    pub ring: Ring,
    /// True if journal or ring were there and cannot be read (`E_STATE`, bad-inputs row 60).
    pub lost: bool,
    /// The device's own spec.
    pub device_spec: Option<DeviceSpec>,
    /// The same, as received; empty when there is none.
    pub spec: Vec<u8>,
    /// The generation of the own spec that was forgotten last.
    pub forgotten: Option<Floor>,
    /// The release that was kept to be finished.
    pub release: Option<ReleaseId>,
}

/// The agent's state on disk.
#[derive(Debug)]
pub struct Storage {
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The artifacts that are installed.
    pub inventory: Inventory,
    /// The manifest that may be started next.
    pub candidate: Option<Candidate>,
    /// The started release.
    pub release: Option<Arc<ReleaseManifest>>,
    /// Its artifacts, once they are fetched and proven.
    pub artifacts: Vec<Artifact>,
    places: Places,
    journal: TwoSlots<Record>,
    outcomes: TwoSlots<Ring>,
}

/// Where things are kept below a state directory.
#[derive(Debug, Clone)]
pub struct Places(PathBuf);

impl Places {
    /// Where an artifact is fetched to.
    #[must_use]
    pub fn download_dir(&self, artifact: ArtifactId) -> PathBuf {
        self.0.join("download").join(artifact.to_string())
    }

    /// The working directory of an artifact's scripts; it stays from release to release.
    #[must_use]
    pub fn work_dir(&self, artifact: &str) -> PathBuf {
        self.0.join("work").join(artifact)
    }

    /// Where the rollback script of an artifact is kept while it may be needed.
    #[must_use]
    pub fn rollback_path(&self, artifact: ArtifactId) -> PathBuf {
        self.0.join("rollback").join(artifact.to_string())
    }
}

impl Storage {
    /// Opens the state directory `dir`, which exists.
    ///
    /// # Errors
    /// [`StorageError`]; damage to journal or ring is no error but [`Restored::lost`].
    pub fn open(files: Arc<dyn Files>, dir: &Path) -> Result<(Self, Restored), StorageError> {
        for folder in ["download", "work", "rollback"] {
            let folder = dir.join(folder);
            let made = files.create_dir(&folder);
            made.map_err(StorageError::at(&folder))?;
        }
        // Names that a killed program gave and did not sync must not go with the power later.
        files.sync_dir(dir).map_err(StorageError::at(dir))?;
        let (journal, record) = TwoSlots::open(files.clone(), dir, "journal", RECORD_BYTES_MAX)?;
        let (outcomes, ring) = TwoSlots::open(files.clone(), dir, "outcomes", RING_BYTES_MAX)?;
        let inventory = Inventory::load(files.as_ref(), dir)?;
        let read = |name| {
            let path = dir.join(name);
            let bytes = read_optional(files.as_ref(), &path, MESSAGE_BYTES_MAX);
            bytes.map_err(StorageError::at(&path))
        };
        let forgotten = read(FORGOTTEN_FILE)?;
        let forgotten = forgotten.and_then(|bytes| floor_of(&bytes));
        // A power cut may have come before it was removed.
        let is_kept = |bytes: &Vec<u8>| {
            let Ok((spec, _)) = decode_prefix::<DeviceSpec>(bytes) else {
                return true;
            };
            let by = signer_of::<DeviceSpec>(bytes);
            // Those of another key count by themselves.
            let of_other = |at: Floor| at.by.zip(by).is_some_and(|(at, by)| at != by);
            forgotten.is_none_or(|at| spec.generation > at.generation || of_other(at))
        };
        let spec = read(HEAD_FILE)?.filter(is_kept).unwrap_or_default();
        // Our own private files; they were verified before they were kept.
        let release = read(RELEASE_FILE)?.and_then(|bytes| {
            let (release, _) = decode_prefix::<ReleaseManifest>(&bytes).ok()?;
            Some(Arc::new(release))
        });
        let device_spec = decode_prefix::<DeviceSpec>(&spec).ok();
        let restored = Restored {
            lost: record == Found::Lost || ring == Found::Lost,
            record: content(record),
            ring: content(ring).unwrap_or_default(),
            device_spec: device_spec.map(|(spec, _)| spec),
            spec,
            forgotten,
            release: release.as_ref().map(|release| release.id()),
        };
        let storage = Self {
            files,
            inventory,
            candidate: None,
            release,
            artifacts: Vec::new(),
            places: Places(dir.to_path_buf()),
            journal,
            outcomes,
        };
        Ok((storage, restored))
    }

    /// Keeps something, durably.
    ///
    /// # Errors
    /// [`StorageError`]; what comes after it must not be done before it succeeds.
    pub fn keep(&mut self, keep: &Keep) -> Result<(), StorageError> {
        match keep {
            Keep::Record(record) => Ok(self.journal.write(record)?),
            Keep::Outcomes(ring) => Ok(self.outcomes.write(ring)?),
            Keep::DeviceSpec(spec) => self.write(HEAD_FILE, spec),
            Keep::NoDeviceSpec(floor) => self.forget_spec(floor),
            Keep::Release(id) => self.keep_release(*id),
            Keep::Inventory => self.commit_inventory(),
            Keep::Distrust => self.distrust(),
            Keep::Needed => {
                self.clean_up();
                Ok(())
            }
        }
    }

    /// Where things are kept.
    #[must_use]
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Where an artifact is fetched to.
    #[must_use]
    pub fn download_dir(&self, artifact: ArtifactId) -> PathBuf {
        self.places.download_dir(artifact)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.places.0.join(name);
        write_atomic(self.files.as_ref(), &path, bytes, PRIVATE_FILE)
            .map_err(StorageError::at(&path))
    }

    fn forget_spec(&self, floor: &Floor) -> Result<(), StorageError> {
        self.write(FORGOTTEN_FILE, &bytes_of(floor))?;
        // Left behind it is not read any more.
        let _left = self.files.remove(&self.places.0.join(HEAD_FILE));
        Ok(())
    }

    fn keep_release(&mut self, id: ReleaseId) -> Result<(), StorageError> {
        if let Some(candidate) = self.candidate.as_ref().filter(|kept| kept.id == id) {
            self.write(RELEASE_FILE, &candidate.bytes)?;
            self.release = Some(Arc::new(candidate.release.clone()));
            self.artifacts.clear();
            self.candidate = None;
        }
        Ok(())
    }

    fn commit_inventory(&mut self) -> Result<(), StorageError> {
        let Some(release) = &self.release else {
            return Ok(());
        };
        let mut inventory = self.inventory.clone();
        inventory.floor = inventory.floor.max(release.floor);
        for artifact in &self.artifacts {
            inventory.put(InstalledArtifact {
                name: artifact.manifest.name.clone(),
                version: artifact.manifest.version.clone(),
                counter: release.counter,
                artifact: artifact.manifest.id(),
                provides: artifact.manifest.provides.clone(),
                dir: artifact.dir.clone(),
                condition: Condition::Confirmed,
            });
        }
        self.replace_inventory(inventory)
    }

    /// Notes that nothing that the started release may have touched counts as already there again.
    fn distrust(&mut self) -> Result<(), StorageError> {
        let Some(release) = self.release.clone() else {
            return Ok(());
        };
        let mut inventory = self.inventory.clone();
        for reference in &release.artifacts {
            let dir = self.download_dir(reference.id());
            let manifest = read_start(self.files.as_ref(), &dir, reference);
            if manifest.is_none() && !self.files.exists(&dir) {
                continue;
            }
            // What cannot be read any more may have been any of them.
            let touched = inventory.installed.iter_mut().filter(|installed| {
                let manifest = manifest.as_ref();
                manifest.is_none_or(|manifest| manifest.name == installed.name)
            });
            touched.for_each(|installed| installed.condition = Condition::InDoubt);
        }
        self.replace_inventory(inventory)
    }

    fn replace_inventory(&mut self, inventory: Inventory) -> Result<(), StorageError> {
        if inventory != self.inventory {
            inventory.store(self.files.as_ref(), &self.places.0)?;
            self.inventory = inventory;
        }
        Ok(())
    }

    /// Nothing is started: only what is installed is still needed. What cannot be removed
    /// now is removed after the next deployment.
    fn clean_up(&mut self) {
        let files = self.files.as_ref();
        let _left = files.remove(&self.places.0.join(RELEASE_FILE));
        self.release = None;
        self.artifacts.clear();
        let installed = |name: &str| {
            let mut installed = self.inventory.installed.iter();
            installed.any(|installed| installed.artifact.to_string() == name)
        };
        let downloads = self.places.0.join("download");
        for name in files.list(&downloads).unwrap_or_default() {
            if !installed(&name) {
                let _left = files.remove_dir(&downloads.join(name));
            }
        }
        let rollbacks = self.places.0.join("rollback");
        for name in files.list(&rollbacks).unwrap_or_default() {
            let _left = files.remove(&rollbacks.join(name));
        }
    }
}

/// Makes an artifact ready to be installed: everything is hashed again (bad-inputs row 55), and its
/// rollback script is kept where its other scripts do not reach. Blocks.
///
/// # Errors
/// [`DownloadError`] when something is not as signed or cannot be kept.
pub fn prepare_install(
    files: &dyn Files,
    artifact: &Artifact,
    rollback: &Path,
) -> Result<(), DownloadError> {
    artifact.verify(files)?;
    let script = artifact.manifest.script(ScriptKind::Rollback);
    let (Some(script), Some(path)) = (script, artifact.script_path(ScriptKind::Rollback)) else {
        return Ok(());
    };
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| DownloadError::storage(&path, &error)
    };
    let payload = &artifact.manifest.payloads[usize::from(script.payload)];
    let content = files.read(&path, payload.size).map_err(failed(&path))?;
    if sha256(&content) != payload.hash {
        return Err(DownloadError::hash(&payload.target));
    }
    write_atomic(files, rollback, &content, PRIVATE_DIR).map_err(failed(rollback))
}

fn content<T>(found: Found<T>) -> Option<T> {
    match found {
        Found::Content(content) => Some(content),
        Found::Nothing | Found::Lost => None,
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
