//! The artifacts that are installed and confirmed on this device: `inventory.toml`. Replaced as a
//! whole, so a power cut leaves the old inventory or the new one.

use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::id::{ArtifactId, Name};

use super::files::{Files, PRIVATE_FILE, read_optional, write_atomic};
use super::strict_toml::{self, Table, TomlError, quoted};

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
    /// The capabilities that it provides to others: name and version.
    pub provides: Vec<(String, String)>,
    /// Where its payload and scripts are kept; may be gone.
    pub dir: PathBuf,
    /// The condition of the artifact.
    pub condition: Condition,
}

/// The condition of what is installed: known to be whole, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The text is not an inventory.
    #[error(transparent)]
    Toml(#[from] TomlError),
}

/// Far more than the largest inventory.
const INVENTORY_BYTES_MAX: u64 = 256 * 1024;
/// Version of the file's format.
const FORMAT: u64 = 1;
const KEYS: [&str; 3] = ["format", "floor", "artifact"];
const ARTIFACT_KEYS: [&str; 7] = [
    "name",
    "version",
    "counter",
    "id",
    "provides",
    "dir",
    "condition",
];
const IN_DOUBT: &str = "in-doubt";

impl Inventory {
    /// The installed artifact of a name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&InstalledArtifact> {
        self.installed
            .iter()
            .find(|installed| installed.name == *name)
    }

    /// True if this very artifact is installed, verified and untouched since (S12).
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
        let mut known = self.installed.iter();
        let place = known.position(|installed| installed.name > artifact.name);
        self.installed
            .insert(place.unwrap_or(self.installed.len()), artifact);
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
        let refuse = |detail: String| TomlError {
            path: path.clone(),
            line: 1,
            detail,
            hint: None,
        };
        let read = |table: &mut Table<'_>| {
            let format = table.number("format", u64::MAX)?;
            let format = table.require("format", format)?;
            if format != FORMAT {
                let detail = format!("format {format} is not known, expected {FORMAT}");
                return Err(refuse(detail));
            }
            let floor = table.number("floor", u64::MAX)?;
            let mut inventory = Self {
                floor: table.require("floor", floor)?,
                installed: Vec::new(),
            };
            for mut artifact in table.table_list("artifact", &ARTIFACT_KEYS)? {
                inventory.put(InstalledArtifact::read(&mut artifact)?);
            }
            Ok(inventory)
        };
        Ok(strict_toml::read(&path, &text, &KEYS, read)?)
    }

    /// Makes this the durable inventory of a state directory.
    ///
    /// # Errors
    /// [`InventoryError::File`]; the old inventory is then still there.
    pub fn store(&self, files: &dyn Files, state_dir: &Path) -> Result<(), InventoryError> {
        let path = state_dir.join(INVENTORY_FILE);
        let mut text = format!("format = {FORMAT}\nfloor = {}\n", self.floor);
        for installed in &self.installed {
            text.push_str(&installed.write());
        }
        let failed = |source| InventoryError::File {
            path: path.clone(),
            source,
        };
        write_atomic(files, &path, text.as_bytes(), PRIVATE_FILE).map_err(failed)
    }
}

impl InstalledArtifact {
    fn read(table: &mut Table<'_>) -> Result<Self, TomlError> {
        let (name, artifact) = (table.parsed("name")?, table.parsed("id")?);
        let counter = table.number("counter", u64::MAX)?;
        let condition = match table.string("condition")?.as_deref() {
            None => Condition::Confirmed,
            // Whatever it means, it is not that everything is well.
            Some(_) => Condition::InDoubt,
        };
        Ok(Self {
            name: table.require("name", name)?,
            version: table.required("version")?,
            counter: table.require("counter", counter)?,
            artifact: table.require("id", artifact)?,
            provides: table.pair_list("provides")?,
            dir: table.required("dir")?.into(),
            condition,
        })
    }

    fn write(&self) -> String {
        let pair =
            |(name, version): &(String, String)| format!("[{}, {}]", quoted(name), quoted(version));
        let provides: Vec<String> = self.provides.iter().map(pair).collect();
        // Only written when it says something: an agent that does not know it reads the rest.
        let condition = match self.condition {
            Condition::Confirmed => String::new(),
            Condition::InDoubt => format!("condition = {}\n", quoted(IN_DOUBT)),
        };
        format!(
            "\n[[artifact]]\nname = {}\nversion = {}\ncounter = {}\nid = \"{}\"\n\
             provides = [{}]\ndir = {}\n{condition}",
            quoted(self.name.as_str()),
            quoted(&self.version),
            self.counter,
            self.artifact,
            provides.join(", "),
            quoted(&self.dir.to_string_lossy()),
        )
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
        inventory.put(InstalledArtifact {
            name: "config".parse().unwrap(),
            version: "\"2\" \\ beta".into(),
            counter: u64::MAX,
            artifact: ArtifactId([8; 16]),
            provides: Vec::new(),
            dir: "/state/with space/y".into(),
            condition: Condition::InDoubt,
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
