//! A disk in memory that keeps only what was synced, and that fails at any operation that
//! changes it: by a power cut, or by an error that lasts as long as a test says.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hoist_device_client::agent::files::Files;

/// Where in an operation the power goes, and what becomes of what was not synced: the two
/// extremes, because a real disk may have written any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it is done, and what was not synced is lost.
    Before,
    /// Half of a write is done, nothing of any other operation; nothing else is lost.
    Torn,
    /// It is done, and lost with everything else that was not synced.
    Unsynced,
    /// It is done, and nothing is lost.
    After,
}

impl Moment {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Before, Self::Torn, Self::Unsynced, Self::After];
}

/// A power cut at a changing operation, counted from 0 since the device was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which operation.
    pub operation: usize,
    /// Where in it.
    pub moment: Moment,
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    cuts: Vec<Cut>,
    operations: usize,
    off: bool,
    inodes: Vec<Inode>,
    /// The tree as programs see it, and as it is after a power cut.
    seen: Tree,
    durable: Tree,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

type Tree = BTreeMap<PathBuf, Entry>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

impl Disk {
    /// A disk with the empty folder `root`, and these cuts to come.
    pub fn new(root: &Path, cuts: &[Cut]) -> Self {
        let tree = Tree::from([(root.to_path_buf(), Entry::Folder)]);
        Self(Mutex::new(State {
            cuts: cuts.to_vec(),
            seen: tree.clone(),
            durable: tree,
            ..State::default()
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing operations begun so far.
    pub fn operations(&self) -> usize {
        self.state().operations
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Switches it on again.
    pub fn switch_on(&self) {
        self.state().off = false;
    }

    /// Does a changing operation, or lets the power go in it. `half` is what of it can be
    /// done halfway.
    fn change<T>(
        &self,
        half: impl FnOnce(&mut State),
        whole: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.off {
            return Err(no_power());
        }
        let operation = state.operations;
        state.operations += 1;
        let mut cuts = state.cuts.iter();
        let Some(cut) = cuts.find(|cut| cut.operation == operation).copied() else {
            return whole(&mut state);
        };
        match cut.moment {
            Moment::Before => {}
            Moment::Torn => half(&mut state),
            Moment::Unsynced | Moment::After => drop(whole(&mut state)),
        }
        match cut.moment {
            Moment::Before | Moment::Unsynced => state.lose_what_is_not_synced(),
            Moment::Torn | Moment::After => state.sync_everything(),
        }
        state.off = true;
        Err(no_power())
    }
}

impl State {
    fn lose_what_is_not_synced(&mut self) {
        self.seen = self.durable.clone();
        for inode in &mut self.inodes {
            inode.seen = inode.durable.clone();
        }
    }

    fn sync_everything(&mut self) {
        self.durable = self.seen.clone();
        for inode in &mut self.inodes {
            inode.durable = inode.seen.clone();
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.seen.get(path) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().and_then(|parent| self.seen.get(parent));
        match parent {
            Some(Entry::Folder) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write(&mut self, path: &Path, offset: u64, content: &[u8], ends: bool) -> io::Result<()> {
        self.require_parent(path)?;
        let inode = match self.seen.get(path) {
            Some(Entry::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Entry::File(inode)) => *inode,
            None => {
                self.inodes.push(Inode::default());
                let inode = self.inodes.len() - 1;
                self.seen.insert(path.to_path_buf(), Entry::File(inode));
                inode
            }
        };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset + content.len();
        let bytes = &mut self.inodes[inode].seen;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(content);
        if ends {
            bytes.truncate(end);
        }
        Ok(())
    }
}

fn is_in(folder: &Path, path: &Path) -> bool {
    path.parent() == Some(folder)
}

impl Files for Disk {
    fn read_at(&self, path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let bytes = &state.inodes[state.file(path)?].seen;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(offset..).unwrap_or_default();
        let count = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Ok(rest[..rest.len().min(count)].to_vec())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().seen.contains_key(path)
    }

    fn write_at(&self, path: &Path, offset: u64, content: &[u8], _mode: u32) -> io::Result<()> {
        self.change(
            |state| drop(state.write(path, offset, &content[..content.len() / 2], false)),
            |state| state.write(path, offset, content, true),
        )
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.change(
            |_| (),
            |state| {
                let inode = state.file(path)?;
                let inode = &mut state.inodes[inode];
                inode.durable = inode.seen.clone();
                Ok(())
            },
        )
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(
            |_| (),
            |state| {
                state.durable.retain(|entry, _| !is_in(path, entry));
                let entries = state.seen.iter().filter(|(entry, _)| is_in(path, entry));
                let entries: Vec<_> = entries
                    .map(|(path, entry)| (path.clone(), *entry))
                    .collect();
                state.durable.extend(entries);
                Ok(())
            },
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.state().seen.get(path) == Some(&Entry::Folder) {
            return Ok(());
        }
        self.change(
            |_| (),
            |state| {
                state.require_parent(path)?;
                match state.seen.insert(path.to_path_buf(), Entry::Folder) {
                    None => Ok(()),
                    Some(_) => Err(io::ErrorKind::NotADirectory.into()),
                }
            },
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(
            |_| (),
            |state| {
                let inode = state.file(from)?;
                state.seen.remove(from);
                state.seen.insert(to.to_path_buf(), Entry::File(inode));
                Ok(())
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path) {
            return Ok(());
        }
        self.change(
            |_| (),
            |state| {
                state.seen.remove(path);
                Ok(())
            },
        )
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path) {
            return Ok(());
        }
        self.change(
            |_| (),
            |state| {
                state.seen.retain(|entry, _| !entry.starts_with(path));
                Ok(())
            },
        )
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let entries = state.seen.keys().filter(|entry| is_in(path, entry));
        let names = entries.filter_map(|entry| entry.file_name());
        Ok(names
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}
