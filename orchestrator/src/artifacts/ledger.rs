//! Facts about artifacts beside their files: which a release names, whose uploads no release names
//! yet, and which files were proven or found damaged, as they were then.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use hoist_protocol::code::Code;
use hoist_protocol::id::{ArtifactId, UserId};

use crate::refusals::Refusals;
use crate::unix_time::unix_ms;

/// The facts that tell one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Stamp {
    /// Of the file there now, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        Some(Self {
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            bytes: meta.size(),
        })
    }

    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }
}

/// Bytes that somebody's upload takes.
#[derive(Debug)]
struct Taken {
    user: UserId,
    bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// With a release that names each.
    released: BTreeMap<ArtifactId, String>,
    /// Uploads that no release names.
    unused: HashMap<ArtifactId, Taken>,
    arriving: HashMap<u64, Taken>,
    /// The number of the last one that arrived.
    last: u64,
    proven: HashMap<ArtifactId, Stamp>,
    damaged: HashMap<ArtifactId, Option<Stamp>>,
    /// The users whose uploads were refused lately.
    refused: Refusals,
}

impl Ledger {
    /// A release names it: it is no longer held against whoever uploaded it. Whether it was.
    pub(super) fn released(&mut self, id: ArtifactId, release: &str) -> bool {
        self.released
            .entry(id)
            .or_insert_with(|| release.to_owned());
        self.unused.remove(&id).is_some()
    }

    /// Somebody uploaded it before this start, and no release names it as far as is known.
    pub(super) fn uploaded(&mut self, id: ArtifactId, user: UserId, bytes: u64) {
        self.unused.insert(id, Taken { user, bytes });
    }

    /// The user who will be held to an upload when it is in its place; nobody when somebody is
    /// already, or a release names it.
    pub(super) fn holds(&self, number: u64, id: ArtifactId) -> Option<UserId> {
        let free = !self.released.contains_key(&id) && !self.unused.contains_key(&id);
        let taken = self.arriving.get(&number).filter(|_| free)?;
        Some(taken.user.clone())
    }

    /// Another release names it than the one that was removed.
    pub(super) fn renamed(&mut self, id: ArtifactId, release: &str) {
        self.released.insert(id, release.to_owned());
    }

    /// No release names it any more; what was found of it is true of the file as it is now.
    pub(super) fn unclaimed(&mut self, id: ArtifactId, stamp: Option<Stamp>) {
        self.released.remove(&id);
        if let (Some(proven), Some(stamp)) = (self.proven.get_mut(&id), stamp) {
            *proven = stamp;
        }
    }

    /// A release that names it.
    pub(super) fn release_of(&self, id: ArtifactId) -> Option<String> {
        self.released.get(&id).cloned()
    }

    /// Bytes of a user's uploads that no release names, arriving ones included.
    pub(super) fn unused_of(&self, user: &UserId) -> u64 {
        let all = self.unused.values().chain(self.arriving.values());
        all.filter(|taken| taken.user == *user)
            .map(|taken| taken.bytes)
            .fold(0, u64::saturating_add)
    }

    /// Bytes that are still to come, at most.
    pub(super) fn arriving(&self) -> u64 {
        let bytes = self.arriving.values().map(|taken| taken.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// An upload begins; its number.
    pub(super) fn begin(&mut self, user: UserId, bytes: u64) -> u64 {
        self.last += 1;
        self.arriving.insert(self.last, Taken { user, bytes });
        self.last
    }

    /// An upload is whole, and in its place. Whoever brought it first is held to it: nobody is
    /// rid of it because somebody sends the same again.
    pub(super) fn arrived(&mut self, number: u64, id: ArtifactId) {
        let taken = self.arriving.remove(&number);
        if let Some(taken) = taken
            && !self.released.contains_key(&id)
        {
            self.unused.entry(id).or_insert(taken);
        }
    }

    /// An upload ended, whole or not.
    pub(super) fn end(&mut self, number: u64) {
        self.arriving.remove(&number);
    }

    /// An upload of a user was refused: how many were since the last line in the log about this
    /// user and code, if it is time for another.
    pub(super) fn refused(&mut self, user: &UserId, code: Code) -> Option<u64> {
        self.refused
            .note_upload(code, user, unix_ms(), Instant::now())
    }

    /// Notes the verdict on a file.
    pub(super) fn found(&mut self, id: ArtifactId, stamp: Option<Stamp>, whole: bool) {
        self.proven.remove(&id);
        self.damaged.remove(&id);
        match stamp.filter(|_| whole) {
            Some(stamp) => drop(self.proven.insert(id, stamp)),
            None => drop(self.damaged.insert(id, stamp)),
        }
    }

    /// The verdict on a file that is like this now: true if it is whole.
    pub(super) fn known(&self, id: ArtifactId, stamp: Option<Stamp>) -> Option<bool> {
        if stamp.is_some() && self.proven.get(&id) == stamp.as_ref() {
            return Some(true);
        }
        self.damaged
            .get(&id)
            .is_some_and(|damaged| *damaged == stamp)
            .then_some(false)
    }

    /// True if something was found out about another state of it.
    pub(super) fn has_changed(&self, id: ArtifactId) -> bool {
        self.proven.contains_key(&id) || self.damaged.contains_key(&id)
    }

    /// True if it was damaged or missing when it was looked at last.
    pub(super) fn is_damaged(&self, id: ArtifactId) -> bool {
        self.damaged.contains_key(&id)
    }

    /// True if any was.
    pub(super) fn has_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// A file was removed. Whether it was held against somebody.
    pub(super) fn removed(&mut self, id: ArtifactId) -> bool {
        self.proven.remove(&id);
        self.damaged.remove(&id);
        self.unused.remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_uploads_are_told_at_first_and_then_now_and_then_for_each_user_and_code() {
        let mut ledger = Ledger::default();
        let [dora, vera]: [UserId; 2] = ["dora", "vera"].map(|user| user.parse().unwrap());
        assert_eq!(ledger.refused(&dora, Code::Space), Some(1));
        for _ in 0..1_000 {
            assert_eq!(ledger.refused(&dora, Code::Space), None);
        }
        assert_eq!(ledger.refused(&dora, Code::Hash), Some(1));
        assert_eq!(ledger.refused(&vera, Code::Space), Some(1));
    }
}
