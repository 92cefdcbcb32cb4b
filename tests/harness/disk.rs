//! A disk whose power goes: what a program did to the files of a folder, kept by
//! `faults/faults.c`, and what is there after a cut. What was synced is there; of the rest
//! each block holds what it held after some of the writes to it, and of what was done to the
//! names in a folder since that was synced, any part may be missing.

use std::collections::BTreeMap;
use std::path::Path;

/// The bytes that a disk writes whole.
const BLOCK_BYTES: usize = 512;

/// One call that was done, in order.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Write {
        path: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        path: String,
        length: usize,
    },
    /// Of a file, or of a folder: the empty path is the store's own.
    Sync {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    /// Of a file: one that is there stays as it is.
    Create {
        path: String,
    },
    MakeFolder {
        path: String,
    },
    /// The program said this on its standard output.
    Said(String),
}

/// Reads what the library kept.
pub(crate) fn calls(log: &Path) -> Vec<Call> {
    let bytes = std::fs::read(log).unwrap();
    let mut rest = bytes.as_slice();
    let mut calls = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        let length = number(&mut rest);
        let path = text(take(&mut rest, length));
        let at = number(&mut rest);
        let length = number(&mut rest);
        let data = take(&mut rest, length).to_vec();
        calls.push(match kind {
            b'w' => Call::Write {
                path,
                at,
                bytes: data,
            },
            b't' => Call::Truncate { path, length: at },
            b's' => Call::Sync { path },
            b'r' => Call::Rename {
                from: path,
                to: text(&data),
            },
            b'u' => Call::Remove { path },
            b'c' => Call::Create { path },
            b'm' => Call::MakeFolder { path },
            b'a' => Call::Said(text(&data)),
            other => panic!("a call of kind {other}"),
        });
    }
    calls
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn number(rest: &mut &[u8]) -> usize {
    let bytes = take(rest, 8).try_into().unwrap();
    usize::try_from(u64::from_ne_bytes(bytes)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file: what is durable of it, and what was done since.
#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl File {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.since) {
            change.apply(&mut self.durable);
        }
    }

    /// Each block is from some moment since the last sync; so is the length.
    fn after_a_cut(&self, dice: &mut fastrand::Rng) -> Vec<u8> {
        let mut states = vec![self.durable.clone()];
        for change in &self.since {
            let mut next = states.last().unwrap().clone();
            change.apply(&mut next);
            states.push(next);
        }
        let length = states[dice.usize(..states.len())].len();
        let mut found = vec![0; length];
        // Often all or nothing of what was done last, else each block for itself.
        let all = dice.bool().then(|| dice.usize(..states.len()));
        for (index, block) in found.chunks_mut(BLOCK_BYTES).enumerate() {
            let from = all.unwrap_or_else(|| dice.usize(..states.len()));
            let start = index * BLOCK_BYTES;
            let state = states[from].get(start..).unwrap_or_default();
            let bytes = state.len().min(block.len());
            block[..bytes].copy_from_slice(&state[..bytes]);
        }
        found
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(bytes);
            }
            Self::Truncate(length) => content.resize(*length, 0),
        }
    }
}

/// The thing that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

type Names = BTreeMap<String, Entry>;

/// Something done to names, whole or not at all.
#[derive(Debug, Clone)]
enum Renaming {
    Put(String, Entry),
    Move(String, String, Entry),
    Remove(String),
}

impl Renaming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, entry) => drop(names.insert(path.clone(), *entry)),
            Self::Move(from, to, entry) => {
                // The name it comes from may never have reached the disk.
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
            Self::Remove(path) => drop(names.remove(path)),
        }
    }

    /// True if it is durable when this folder is synced.
    fn is_in(&self, folder: &str) -> bool {
        let (Self::Put(path, _) | Self::Move(_, path, _) | Self::Remove(path)) = self;
        path.rsplit_once('/')
            .is_some_and(|(parent, _)| parent == folder)
    }
}

/// The program's folder at some moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// Names as the program sees them, and as the disk has them for certain.
    names: Names,
    durable: Names,
    /// The changes of names that are not certain.
    since: Vec<Renaming>,
}

impl Disk {
    /// The content of a folder, all of it durable.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        disk.read(folder, "");
        disk.durable = disk.names.clone();
        disk
    }

    fn read(&mut self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.names.insert(name.clone(), Entry::Folder);
                self.read(&entry.path(), &name);
            } else {
                let durable = std::fs::read(entry.path()).unwrap();
                self.names.insert(name, Entry::File(self.files.len()));
                self.files.push(File {
                    durable,
                    since: Vec::new(),
                });
            }
        }
    }

    /// A call is done.
    pub(crate) fn does(&mut self, call: &Call) {
        match call {
            Call::Write { path, at, bytes } => {
                let (at, bytes) = (*at, bytes.clone());
                self.file(path).since.push(Change::Write { at, bytes });
            }
            Call::Truncate { path, length } => {
                self.file(path).since.push(Change::Truncate(*length));
            }
            Call::Sync { path } => match self.names.get(path) {
                Some(Entry::File(number)) => self.files[*number].sync(),
                Some(Entry::Folder) => self.sync_folder(path),
                None if path.is_empty() => self.sync_folder(path),
                None => panic!("{path} is synced and not there"),
            },
            Call::Rename { from, to } => {
                let entry = self.names[from];
                assert!(entry != Entry::Folder, "no folder is renamed");
                self.change(Renaming::Move(from.clone(), to.clone(), entry));
            }
            Call::Remove { path } => self.change(Renaming::Remove(path.clone())),
            Call::Create { path } => drop(self.file(path)),
            // The store's own folder is there before everything else.
            Call::MakeFolder { path } if path.is_empty() => {}
            Call::MakeFolder { path } => self.change(Renaming::Put(path.clone(), Entry::Folder)),
            Call::Said(_) => {}
        }
    }

    fn change(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.since.push(renaming);
    }

    fn sync_folder(&mut self, folder: &str) {
        let since = std::mem::take(&mut self.since);
        let (certain, open) = since.into_iter().partition(|done| done.is_in(folder));
        self.since = open;
        let certain: Vec<Renaming> = certain;
        for renaming in certain {
            renaming.apply(&mut self.durable);
        }
    }

    fn file(&mut self, path: &str) -> &mut File {
        let number = match self.names.get(path) {
            Some(Entry::File(number)) => *number,
            Some(Entry::Folder) => panic!("{path} is a folder"),
            None => {
                self.files.push(File::default());
                let number = self.files.len() - 1;
                self.change(Renaming::Put(path.to_owned(), Entry::File(number)));
                number
            }
        };
        &mut self.files[number]
    }

    /// The names after a cut: all that was done, nothing of what is not certain, the first of
    /// it, or any part.
    fn names_after_a_cut(&self, dice: &mut fastrand::Rng) -> Names {
        let mut names = self.durable.clone();
        let kept = match dice.u8(..4) {
            0 => 0,
            1 => dice.usize(..=self.since.len()),
            _ => self.since.len(),
        };
        let any_part = dice.u8(..3) == 0;
        for renaming in &self.since[..kept] {
            if !any_part || dice.bool() {
                renaming.apply(&mut names);
            }
        }
        names
    }

    /// Writes into a folder what is there after the power went now.
    pub(crate) fn cut(&self, dice: &mut fastrand::Rng, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        // A folder comes before what is in it; what is in one that never came to be is lost.
        for (name, entry) in self.names_after_a_cut(dice) {
            let path = folder.join(name.trim_start_matches('/'));
            match entry {
                Entry::Folder => std::fs::create_dir(path).unwrap(),
                Entry::File(number) if path.parent().unwrap().is_dir() => {
                    std::fs::write(path, self.files[number].after_a_cut(dice)).unwrap();
                }
                Entry::File(_) => {}
            }
        }
    }
}
