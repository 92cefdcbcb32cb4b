//! The content of a disk: as it is seen, and as it is after a power cut.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::tree::{Entry, Tree};
use super::trouble::Touch;

/// Everything on it.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub inodes: Vec<Inode>,
    pub folders: usize,
    /// The tree as programs see it, and as it is after a power cut.
    pub seen: Tree,
    pub durable: Tree,
}

#[derive(Debug, Clone, Default)]
pub struct Inode {
    pub seen: Arc<Vec<u8>>,
    pub durable: Arc<Vec<u8>>,
    /// A sync would change something. An error in a sync loses this, as in a real kernel.
    pub dirty: bool,
}

impl Content {
    /// Drops everything that is not synced.
    pub fn lose(&mut self) {
        self.durable.drop_unreachable();
        self.seen = self.durable.clone();
        self.lose_unsynced_bytes();
    }

    /// Folders stay as they are seen; bytes that are not synced are gone.
    pub fn lose_content(&mut self) {
        self.durable = self.seen.clone();
        self.lose_unsynced_bytes();
    }

    fn lose_unsynced_bytes(&mut self) {
        for inode in &mut self.inodes {
            inode.seen = inode.durable.clone();
            inode.dirty = false;
        }
    }

    /// Nothing is gone.
    pub fn keep_everything(&mut self) {
        self.durable = self.seen.clone();
        for inode in &mut self.inodes {
            inode.durable = inode.seen.clone();
            inode.dirty = false;
        }
    }

    /// Flips a bit, in another place every time, in both slots of a two-slot file.
    pub fn flip(&mut self, name: &str, place: usize) {
        let slots: Vec<usize> = self
            .seen
            .iter()
            .filter(|(path, _)| path.file_stem().is_some_and(|stem| stem == name))
            .filter_map(|(_, entry)| match entry {
                Entry::File(inode) => Some(inode),
                Entry::Folder(_) => None,
            })
            .collect();
        for inode in slots {
            let bytes = Arc::make_mut(&mut self.inodes[inode].seen);
            let count = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(place % count) {
                *byte ^= 1 << (place % 8);
            }
        }
        self.keep_everything();
    }

    /// The number of a file.
    pub fn file(&self, path: &Path) -> io::Result<usize> {
        match self.seen.get(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Syncing what is durable only reads.
    pub fn touch_of_sync(&self, path: &Path) -> Touch {
        match self.file(path) {
            Ok(inode) if self.inodes[inode].dirty => Touch::Sync,
            _ => Touch::Read,
        }
    }

    /// The same of a folder.
    pub fn touch_of_sync_dir(&self, path: &Path) -> Touch {
        match self.seen.folder(path).eq(self.durable.folder(path)) {
            true => Touch::Read,
            false => Touch::Sync,
        }
    }

    /// There is a folder for this.
    pub fn require_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.seen.get(parent)) {
            Some(Entry::Folder(_)) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Writes content, and ends the file there if it `ends`.
    pub fn write(
        &mut self,
        path: &Path,
        offset: u64,
        content: &[u8],
        ends: bool,
    ) -> io::Result<()> {
        self.require_parent(path)?;
        let inode = match self.seen.get(path) {
            Some(Entry::Folder(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Entry::File(inode)) => inode,
            None => {
                self.inodes.push(Inode::default());
                let inode = self.inodes.len() - 1;
                self.seen.insert(path, Entry::File(inode));
                inode
            }
        };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset + content.len();
        let inode = &mut self.inodes[inode];
        let bytes = Arc::make_mut(&mut inode.seen);
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(content);
        if ends {
            bytes.truncate(end);
        }
        inode.dirty = true;
        Ok(())
    }
}
