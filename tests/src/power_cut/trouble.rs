//! A disk that refuses: full, broken or read-only, from some operation on.

use std::io;

/// The effect of an operation on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Nothing.
    Read,
    /// Writes content.
    Write,
    /// Adds a name or puts another in its place.
    Create,
    /// Takes names away.
    Remove,
    /// Makes something durable.
    Sync,
}

/// Why a disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Illness {
    /// No space is left; half of a write is done before that shows.
    Full,
    /// Reads and writes fail; what a failing sync should have kept is forgotten.
    Broken,
    /// Nothing can be changed.
    ReadOnly,
}

impl Illness {
    /// Every one, with its word.
    pub const ALL: [(Self, &str); 3] = [
        (Self::Full, "full"),
        (Self::Broken, "broken"),
        (Self::ReadOnly, "read-only"),
    ];

    /// Its word in `--replay`.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(illness, _)| *illness == self);
        found.map_or("", |(_, word)| word)
    }

    /// True if an operation of this kind fails.
    fn hits(self, touch: Touch) -> bool {
        match self {
            Self::Full => matches!(touch, Touch::Write | Touch::Create | Touch::Sync),
            Self::Broken => true,
            Self::ReadOnly => matches!(touch, Touch::Write | Touch::Create | Touch::Remove),
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::Full => io::ErrorKind::StorageFull.into(),
            Self::Broken => io::Error::other("input/output error"),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

/// The duration of the trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// For this many operations that it hits.
    Operations(u32),
    /// Until somebody clears it, some minutes later.
    Minutes,
    /// For ever.
    Forever,
}

impl Lasts {
    /// Every one that is tried, with its word.
    pub const ALL: [(Self, &str); 4] = [
        (Self::Operations(1), "once"),
        (Self::Operations(5), "five"),
        (Self::Minutes, "minutes"),
        (Self::Forever, "forever"),
    ];

    /// Its word in `--replay`.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(lasts, _)| *lasts == self);
        found.map_or("", |(_, word)| word)
    }
}

/// An illness from an operation on, counted from 0 with reads, since the device was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub illness: Illness,
    /// From which operation on.
    pub from: usize,
    /// The duration.
    pub lasts: Lasts,
    /// Operations that failed so far.
    pub failed: u32,
}

impl Trouble {
    /// Trouble that has not begun.
    pub fn new(illness: Illness, from: usize, lasts: Lasts) -> Self {
        Self {
            illness,
            from,
            lasts,
            failed: 0,
        }
    }

    /// True if the trouble is over by itself.
    fn is_over(&self) -> bool {
        matches!(self.lasts, Lasts::Operations(count) if self.failed >= count)
    }

    /// The error that an operation meets.
    pub fn meets(&mut self, operation: usize, touch: Touch) -> Option<io::Error> {
        if operation < self.from || self.is_over() || !self.illness.hits(touch) {
            return None;
        }
        self.failed += 1;
        Some(self.illness.error())
    }
}
