//! Names on a disk: which file or folder is at which path.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// The entry that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The number of its content.
    File(usize),
    /// The number of this folder: one that was removed and made again is another.
    Folder(usize),
}

/// Every name.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<Arc<Path>, Entry>);

impl Tree {
    /// The entry at a path.
    pub fn get(&self, path: &Path) -> Option<Entry> {
        self.0.get(path).copied()
    }

    /// Puts something there.
    pub fn insert(&mut self, path: &Path, entry: Entry) {
        self.0.insert(path.into(), entry);
    }

    /// Takes one name away.
    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Takes a name and everything below it away.
    pub fn remove_below(&mut self, path: &Path) {
        self.0.retain(|entry, _| !entry.starts_with(path));
    }

    /// Takes the first half of the files below a folder away.
    pub fn remove_half_below(&mut self, folder: &Path) {
        let is_below = |path: &Path| path != folder && path.starts_with(folder);
        let files = self
            .0
            .iter()
            .filter(|(path, entry)| is_below(path) && matches!(entry, Entry::File(_)));
        let files: Vec<_> = files.map(|(path, _)| path.clone()).collect();
        for path in &files[..files.len() / 2] {
            self.0.remove(path);
        }
    }

    /// Every name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Entry)> {
        self.0.iter().map(|(path, entry)| (&**path, *entry))
    }

    /// Names directly in a folder.
    pub fn names_in(&self, folder: &Path) -> Vec<String> {
        let paths = self.folder(folder).map(|(path, _)| path);
        let names = paths.filter_map(|path| path.file_name().map(OsStr::to_owned));
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// The entries directly in a folder.
    pub fn folder(&self, folder: &Path) -> impl Iterator<Item = (Arc<Path>, Entry)> {
        let inside = self
            .0
            .iter()
            .filter(move |(path, _)| path.parent() == Some(folder));
        inside.map(|(path, entry)| (path.clone(), *entry))
    }

    /// Makes the names directly in a folder those of another tree. What was below a folder
    /// that is gone, or is another now, goes with it.
    pub fn take_folder(&mut self, folder: &Path, from: &Self) {
        let old: Vec<_> = self.folder(folder).collect();
        for (path, entry) in old {
            if from.get(&path) != Some(entry) {
                self.remove_below(&path);
            }
        }
        let new: Vec<_> = from.folder(folder).collect();
        self.0.extend(new);
    }

    /// Drops what lies in folders that are not there.
    pub fn drop_unreachable(&mut self) {
        let Some(root) = self.0.keys().next().cloned() else {
            return;
        };
        // A folder comes before what is in it.
        let mut reachable: BTreeMap<Arc<Path>, Entry> = BTreeMap::new();
        for (path, entry) in &self.0 {
            let parent = path.parent().and_then(|parent| reachable.get(parent));
            if *path == root || matches!(parent, Some(Entry::Folder(_))) {
                reachable.insert(path.clone(), *entry);
            }
        }
        self.0 = reachable;
    }
}
