//! What is installed and confirmed on this device: `inventory.toml`. Replaced as a whole,
//! so a power cut leaves the old inventory or the new one.

use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::id::{ArtifactId, Name};
use serde::{Deserialize, Serialize};

use super::files::{Files, PRIVATE_FILE, read_optional, write_atomic};
use super::strict_toml::{TomlError, parse};

/// File name in the state directory.
pub const INVENTORY_FILE: &str = "inventory.toml";

/// Everything confirmed on this device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Highest floor among confirmed releases: nothing below it is ever installed.
    pub floor: u64,
    /// Installed artifacts, one per name, sorted by name.
    pub installed: Vec<InstalledArtifact>,
}

/// One installed artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledArtifact {
    /// Its name.
    pub name: Name,
    /// Its version, for people.
    pub version: String,
    /// Counter of the release it came with.
    pub counter: u64,
    /// Its content.
    pub artifact: ArtifactId,
    /// What it provides to others: name and version.
    pub provides: Vec<(String, String)>,
    /// Where its payload and scripts are kept; may be gone.
    pub dir: PathBuf,
    /// Whether it is known to be whole.
    pub condition: Condition,
}

/// Whether what is installed is known to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Installed and verified, and nothing has touched it since.
    #[default]
    Confirmed,
    /// A failed way back, or a lost journal: it never counts as already there (S12).
    InDoubt,
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The text is not an inventory.
    #[error(transparent)]
    Toml(#[from] TomlError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInventory {
    format: u8,
    floor: u64,
    #[serde(default)]
    artifact: Vec<RawArtifact>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArtifact {
    name: Name,
    version: String,
    counter: u64,
    id: String,
    provides: Vec<(String, String)>,
    dir: PathBuf,
    // Only written when it says something: an agent that does not know it reads the rest.
    #[serde(default, skip_serializing_if = "is_confirmed")]
    condition: Condition,
}

fn is_confirmed(condition: &Condition) -> bool {
    *condition == Condition::Confirmed
}

/// Far more than the largest inventory.
const INVENTORY_BYTES_MAX: u64 = 256 * 1024;
/// Version of the file's format.
const FORMAT: u8 = 1;

impl Inventory {
    /// The installed artifact of a name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&InstalledArtifact> {
        self.installed
            .iter()
            .find(|installed| installed.name == *name)
    }

    /// Whether this very artifact is installed, verified and untouched since (S12).
    #[must_use]
    pub fn has(&self, artifact: ArtifactId) -> bool {
        self.installed.iter().any(|installed| {
            installed.artifact == artifact && installed.condition == Condition::Confirmed
        })
    }

    /// Puts an artifact in the place of the one of its name.
    pub fn put(&mut self, artifact: InstalledArtifact) {
        self.installed
            .retain(|installed| installed.name != artifact.name);
        self.installed.push(artifact);
        self.installed.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Loads the inventory of a state directory; empty when there is none yet.
    ///
    /// # Errors
    /// [`InventoryError`]; a damaged file is never taken for an empty inventory.
    pub fn load(files: &dyn Files, state_dir: &Path) -> Result<Self, InventoryError> {
        let path = state_dir.join(INVENTORY_FILE);
        let text = match read_optional(files, &path, INVENTORY_BYTES_MAX) {
            Ok(None) => return Ok(Self::default()),
            Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(source) => return Err(InventoryError::File { path, source }),
        };
        let raw: RawInventory = parse(&path, &text)?;
        let refuse = |detail: String| TomlError {
            path: path.clone(),
            line: 1,
            detail,
            hint: None,
        };
        if raw.format != FORMAT {
            return Err(refuse(format!(
                "format {} is not known, expected {FORMAT}",
                raw.format
            ))
            .into());
        }
        let mut inventory = Self {
            floor: raw.floor,
            installed: Vec::new(),
        };
        for raw in raw.artifact {
            let artifact = raw
                .id
                .parse()
                .map_err(|_| refuse(format!("{} is not an artifact id", raw.id)))?;
            inventory.put(InstalledArtifact {
                name: raw.name,
                version: raw.version,
                counter: raw.counter,
                artifact,
                provides: raw.provides,
                dir: raw.dir,
                condition: raw.condition,
            });
        }
        Ok(inventory)
    }

    /// Makes this the durable inventory of a state directory.
    ///
    /// # Errors
    /// [`InventoryError::File`]; the old inventory is then still there.
    pub fn store(&self, files: &dyn Files, state_dir: &Path) -> Result<(), InventoryError> {
        let path = state_dir.join(INVENTORY_FILE);
        let artifact = self.installed.iter().map(|installed| RawArtifact {
            name: installed.name.clone(),
            version: installed.version.clone(),
            counter: installed.counter,
            id: installed.artifact.to_string(),
            provides: installed.provides.clone(),
            dir: installed.dir.clone(),
            condition: installed.condition,
        });
        let raw = RawInventory {
            format: FORMAT,
            floor: self.floor,
            artifact: artifact.collect(),
        };
        let failed = |source| InventoryError::File {
            path: path.clone(),
            source,
        };
        let text = toml::to_string(&raw).map_err(|error| failed(io::Error::other(error)))?;
        write_atomic(files, &path, text.as_bytes(), PRIVATE_FILE).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::files::SystemFiles;
    use std::fs;

    #[test]
    fn an_inventory_is_read_back_as_stored_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            Inventory::load(&SystemFiles, dir.path()).unwrap(),
            Inventory::default()
        );
        let mut inventory = Inventory {
            floor: 3,
            installed: Vec::new(),
        };
        inventory.put(InstalledArtifact {
            name: "app".parse().unwrap(),
            version: "1.0.0".into(),
            counter: 4,
            artifact: ArtifactId([7; 16]),
            provides: vec![("app".into(), "1.0.0".into())],
            dir: "/state/download/x".into(),
            condition: Condition::Confirmed,
        });
        inventory.store(&SystemFiles, dir.path()).unwrap();
        assert_eq!(
            Inventory::load(&SystemFiles, dir.path()).unwrap(),
            inventory
        );
        fs::write(dir.path().join(INVENTORY_FILE), "format = 1\nflor = 3\n").unwrap();
        assert!(Inventory::load(&SystemFiles, dir.path()).is_err());
    }
}
