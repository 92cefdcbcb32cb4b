//! A disk in memory that keeps only what was synced, and whose power can be cut at any
//! write.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use hoist_device_client::agent::journal::SlotFiles;

/// Where in a write the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is written.
    Before,
    /// Half of it reaches the disk.
    Torn,
    /// Written, but not synced: the disk has the old content.
    Unsynced,
    /// Durable, and what follows has not begun.
    After,
}

impl Moment {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Before, Self::Torn, Self::Unsynced, Self::After];
}

/// A power cut at a write, counted from 0 since the device was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which write.
    pub write: usize,
    /// Where in it.
    pub moment: Moment,
}

/// The disk.
#[derive(Default)]
pub(super) struct Disk {
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    cuts: RefCell<Vec<Cut>>,
    writes: Cell<usize>,
    off: Cell<bool>,
}

impl Disk {
    pub(super) fn with(cuts: &[Cut]) -> Self {
        let disk = Self::default();
        disk.cuts.borrow_mut().extend(cuts);
        disk
    }

    /// Writes begun so far.
    pub(super) fn writes(&self) -> usize {
        self.writes.get()
    }

    pub(super) fn is_off(&self) -> bool {
        self.off.get()
    }

    pub(super) fn switch_on(&self) {
        self.off.set(false);
    }

    /// The moment of this write's cut, if it has one.
    fn begin(&self) -> io::Result<Option<Moment>> {
        if self.off.get() {
            return Err(no_power());
        }
        let write = self.writes.replace(self.writes.get() + 1);
        let cut = self
            .cuts
            .borrow()
            .iter()
            .find(|cut| cut.write == write)
            .copied();
        Ok(cut.map(|cut| cut.moment))
    }

    fn cut(&self) -> io::Error {
        self.off.set(true);
        no_power()
    }

    /// Replaces a file by renaming a synced one: the old content or the new, no mixture.
    pub(super) fn write_atomic(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let moment = self.begin()?;
        if matches!(moment, None | Some(Moment::After)) {
            self.files.borrow_mut().insert(name.into(), bytes.to_vec());
        }
        moment.map_or(Ok(()), |_| Err(self.cut()))
    }

    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(Path::new(name)).cloned()
    }

    pub(super) fn remove(&self, name: &str) {
        self.files.borrow_mut().remove(Path::new(name));
    }
}

/// A write whose content is not on the disk yet.
pub(super) struct Written {
    path: PathBuf,
    bytes: Vec<u8>,
    moment: Option<Moment>,
}

impl SlotFiles for &Disk {
    type Written = Written;

    fn read(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.files.borrow().get(path).cloned().unwrap_or_default();
        bytes.truncate(bytes_max + 1);
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.borrow().contains_key(path)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<Written> {
        let moment = self.begin()?;
        match moment {
            Some(Moment::Before) => return Err(self.cut()),
            Some(Moment::Torn) => {
                let half = bytes[..bytes.len() / 2].to_vec();
                self.files.borrow_mut().insert(path.to_path_buf(), half);
                return Err(self.cut());
            }
            _ => {}
        }
        Ok(Written {
            path: path.to_path_buf(),
            bytes: bytes.to_vec(),
            moment,
        })
    }

    fn sync(&self, written: Written) -> io::Result<()> {
        if written.moment == Some(Moment::Unsynced) {
            return Err(self.cut());
        }
        self.files.borrow_mut().insert(written.path, written.bytes);
        written.moment.map_or(Ok(()), |_| Err(self.cut()))
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}
