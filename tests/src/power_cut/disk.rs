//! A disk in memory that keeps only what was synced. While it forks, every operation that
//! changes it leaves behind the disks that a power cut in it could have made.

use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoist_device_client::agent::files::Files;

use super::content::Content;
use super::cut::{Cut, Moment};
use super::tree::Entry;
use super::trouble::{Touch, Trouble};

/// A cut with the disk that it leaves behind.
#[derive(Debug)]
pub struct Fork {
    /// Where.
    pub cut: Cut,
    /// The disk after it.
    pub disk: Disk,
}

/// Which cuts a disk leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forking {
    /// None.
    #[default]
    Off,
    /// Cuts of power and program.
    Cuts,
    /// Those that damage what was synced, too.
    Damage,
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    forking: Forking,
    forks: Vec<Fork>,
    operations: usize,
    touches: usize,
    trouble: Option<Trouble>,
    content: Content,
    lies: bool,
}

impl Disk {
    /// A disk with the empty folder `root`.
    pub fn new(root: &Path) -> Self {
        let mut content = Content::default();
        content.seen.insert(root, Entry::Folder(0));
        content.durable = content.seen.clone();
        Self::of(content, 0)
    }

    fn of(content: Content, operations: usize) -> Self {
        Self(Mutex::new(State {
            content,
            operations,
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

    /// Operations begun so far, reads included.
    pub fn touches(&self) -> usize {
        self.state().touches
    }

    /// Begins or stops to leave cuts behind.
    pub fn set_forking(&self, forking: Forking) {
        self.state().forking = forking;
    }

    /// From now on a sync does nothing and says that it did.
    pub fn lie(&self) {
        self.state().lies = true;
    }

    /// Lets operations fail.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    /// The trouble of operations that fail, or will.
    pub fn trouble(&self) -> Option<Trouble> {
        self.state().trouble
    }

    /// The disks that the cuts since the last call would have left.
    pub fn take_forks(&self) -> Vec<Fork> {
        std::mem::take(&mut self.state().forks)
    }

    /// A moment outside of the disk in which the power may go.
    pub fn moment(&self) {
        let mut state = self.state();
        let operation = state.operations;
        state.operations += 1;
        if state.forking != Forking::Off {
            let content = state.content.clone();
            for moment in [Moment::Before, Moment::After, Moment::Killed] {
                state.fork(operation, moment, &content);
            }
            state.damage(operation, &content);
        }
    }

    /// Makes everything durable: the system goes down in order.
    pub fn sync_everything(&self) {
        self.state().content.keep_everything();
    }

    /// The power goes, and what was not synced with it.
    pub fn lose_what_is_not_synced(&self) {
        self.state().content.lose();
    }

    /// A file as programs see it, without any trouble.
    pub fn peek(&self, path: &Path) -> Option<Arc<Vec<u8>>> {
        let state = self.state();
        let inode = state.content.file(path).ok()?;
        Some(state.content.inodes[inode].seen.clone())
    }

    /// A copy without any trouble.
    pub fn copy(&self) -> Self {
        Self::of(self.state().content.clone(), 0)
    }

    /// A copy that has only what a power cut now would leave.
    pub fn durable_copy(&self) -> Self {
        let copy = self.copy();
        copy.lose_what_is_not_synced();
        copy
    }

    /// Hashes everything that what follows depends on.
    pub fn fingerprint(&self, into: &mut impl Hasher) {
        let state = self.state();
        let content = &state.content;
        for tree in [&content.seen, &content.durable] {
            for (path, entry) in tree.iter() {
                path.hash(into);
                match entry {
                    Entry::Folder(_) => 0.hash(into),
                    Entry::File(inode) => {
                        let inode = &content.inodes[inode];
                        (&inode.seen, &inode.durable, inode.dirty).hash(into);
                    }
                }
            }
        }
    }

    /// Does a changing operation. `half` is what of it can be done halfway.
    fn change<T>(
        &self,
        touch: Touch,
        half: impl Fn(&mut Content),
        whole: impl FnOnce(&mut Content) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        let failure = state.touch(touch);
        if let Some(error) = failure {
            if touch == Touch::Write && error.kind() == io::ErrorKind::StorageFull {
                half(&mut state.content);
            }
            return Err(error);
        }
        let operation = state.operations;
        state.operations += 1;
        if state.forking == Forking::Off {
            return whole(&mut state.content);
        }
        let before = state.content.clone();
        let result = whole(&mut state.content);
        let after = state.content.clone();
        let mut torn = before.clone();
        half(&mut torn);
        state.fork(operation, Moment::Before, &before);
        state.fork(operation, Moment::Torn, &torn);
        for moment in [
            Moment::Hollow,
            Moment::Unsynced,
            Moment::After,
            Moment::Killed,
        ] {
            state.fork(operation, moment, &after);
        }
        state.damage(operation, &after);
        result
    }
}

impl State {
    fn touch(&mut self, touch: Touch) -> Option<io::Error> {
        let number = self.touches;
        self.touches += 1;
        self.trouble.as_mut()?.meets(number, touch)
    }

    fn fork(&mut self, operation: usize, moment: Moment, content: &Content) {
        let mut content = content.clone();
        match moment {
            Moment::Before | Moment::Unsynced => content.lose(),
            Moment::Hollow => content.lose_content(),
            Moment::Torn | Moment::After | Moment::JournalFlipped | Moment::RingFlipped => {
                content.keep_everything();
            }
            Moment::Killed => {}
        }
        if let Some(name) = moment.damages() {
            content.flip(name, operation);
        }
        let disk = Disk::of(content, self.operations);
        disk.state().lies = self.lies;
        let cut = Cut { operation, moment };
        self.forks.push(Fork { cut, disk });
    }

    fn damage(&mut self, operation: usize, content: &Content) {
        if self.forking == Forking::Damage {
            self.fork(operation, Moment::JournalFlipped, content);
            self.fork(operation, Moment::RingFlipped, content);
        }
    }
}

impl Files for Disk {
    fn read_at(&self, path: &Path, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        if let Some(error) = state.touch(Touch::Read) {
            return Err(error);
        }
        let bytes = &state.content.inodes[state.content.file(path)?].seen;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(offset..).unwrap_or_default();
        let count = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Ok(rest[..rest.len().min(count)].to_vec())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().content.seen.get(path).is_some()
    }

    fn write_at(&self, path: &Path, offset: u64, content: &[u8], _mode: u32) -> io::Result<()> {
        self.change(
            Touch::Write,
            |disk| drop(disk.write(path, offset, &content[..content.len() / 2], false)),
            |disk| disk.write(path, offset, content, true),
        )
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let lies = self.state().lies;
        let touch = self.state().content.touch_of_sync(path);
        let done = self.change(
            touch,
            |_| (),
            |disk| {
                let inode = disk.file(path)?;
                let inode = &mut disk.inodes[inode];
                if inode.dirty && !lies {
                    inode.durable = inode.seen.clone();
                    inode.dirty = false;
                }
                Ok(())
            },
        );
        let mut state = self.state();
        if let (Err(_), Ok(inode)) = (&done, state.content.file(path)) {
            state.content.inodes[inode].dirty = false;
        }
        done
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let touch = self.state().content.touch_of_sync_dir(path);
        self.change(
            touch,
            |_| (),
            |disk| {
                disk.durable.take_folder(path, &disk.seen);
                Ok(())
            },
        )
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if matches!(self.state().content.seen.get(path), Some(Entry::Folder(_))) {
            return Ok(());
        }
        self.change(
            Touch::Create,
            |_| (),
            |disk| {
                disk.require_parent(path)?;
                if disk.seen.get(path).is_some() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                disk.folders += 1;
                disk.seen.insert(path, Entry::Folder(disk.folders));
                Ok(())
            },
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(
            Touch::Create,
            |_| (),
            |disk| {
                let inode = disk.file(from)?;
                disk.seen.remove(from);
                disk.seen.insert(to, Entry::File(inode));
                Ok(())
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.remove_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path) {
            return Ok(());
        }
        self.change(
            Touch::Remove,
            |disk| disk.seen.remove_half_below(path),
            |disk| {
                disk.seen.remove_below(path);
                Ok(())
            },
        )
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        if let Some(error) = state.touch(Touch::Read) {
            return Err(error);
        }
        Ok(state.content.seen.names_in(path))
    }
}
