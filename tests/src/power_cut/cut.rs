//! The ways in which power and program go, by name.

/// The way in which the power, or the program, goes in an operation, and the fate of the writes
/// that were not synced: the extremes, because a real disk may have written any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it is done, and what was not synced is lost.
    Before,
    /// Half of a write is done, nothing of any other operation; nothing else is lost.
    Torn,
    /// It is done; folders are as they were seen, and content that was not synced is lost.
    Hollow,
    /// It is done, and lost with everything else that was not synced.
    Unsynced,
    /// It is done, and nothing is lost.
    After,
    /// It is done, and the program is killed; the device does not boot.
    Killed,
    /// It is done, nothing is lost, but the bits of both slots of the journal have flipped.
    JournalFlipped,
    /// The same of the outcome ring.
    RingFlipped,
}

impl Moment {
    /// Every one, with its word.
    pub const ALL: [(Self, &str); 8] = [
        (Self::Before, "before"),
        (Self::Torn, "torn"),
        (Self::Hollow, "hollow"),
        (Self::Unsynced, "unsynced"),
        (Self::After, "after"),
        (Self::Killed, "killed"),
        (Self::JournalFlipped, "journal-flipped"),
        (Self::RingFlipped, "ring-flipped"),
    ];

    /// Its word in `--replay`.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(moment, _)| *moment == self);
        found.map_or("", |(_, word)| word)
    }

    /// The base name of the two slots it damages.
    pub fn damages(self) -> Option<&'static str> {
        match self {
            Self::JournalFlipped => Some("journal"),
            Self::RingFlipped => Some("outcomes"),
            _ => None,
        }
    }

    /// True if the cut damages data that was synced.
    pub fn is_damage(self) -> bool {
        self.damages().is_some()
    }
}

/// A cut at a changing operation, counted from 0 since the device was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which operation.
    pub operation: usize,
    /// The way in which the power, or the program, goes.
    pub moment: Moment,
}
