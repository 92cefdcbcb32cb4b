//! A disk whose power goes: what a program did to the files of a folder, kept by
//! `faults/faults.c`, and what is there after a cut. What was synced is there; of the rest
//! each block holds what it held after some of the writes to it, and a name that its folder
//! was not synced for may be missing, or lead to what it led to before.

use std::collections::BTreeMap;
use std::path::Path;

/// What a disk writes whole.
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

/// What the program's folder is like at some moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// Names as the program sees them, and as the disk has them for certain.
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
}

impl Disk {
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
            Call::Sync { path } if path.is_empty() => self.durable = self.names.clone(),
            Call::Sync { path } => self.file(path).sync(),
            Call::Rename { from, to } => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
            }
            Call::Remove { path } => {
                self.names.remove(path);
            }
            Call::Said(_) => {}
        }
    }

    fn file(&mut self, path: &str) -> &mut File {
        let next = self.files.len();
        let number = *self.names.entry(path.to_owned()).or_insert(next);
        if number == next {
            self.files.push(File::default());
        }
        &mut self.files[number]
    }

    /// Writes into a folder what is there after the power went now.
    pub(crate) fn cut(&self, dice: &mut fastrand::Rng, folder: &Path) {
        let named = if dice.bool() {
            &self.names
        } else {
            &self.durable
        };
        std::fs::create_dir_all(folder).unwrap();
        for (name, number) in named {
            let content = self.files[*number].after_a_cut(dice);
            let path = folder.join(name.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}
