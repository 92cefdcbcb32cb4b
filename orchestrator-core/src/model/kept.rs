//! The place of an event in the history, which is also its id for people.

use std::fmt;
use std::str::FromStr;

/// The id of an event that is kept. Ids of one history rise; another store's history has another
/// origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// Unix time of the history's first event, in ms.
    pub origin_ms: u64,
    /// The number of the event, from 1.
    pub number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.origin_ms, self.number)
    }
}

/// A text that is no id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no event has such an id")]
pub struct NoEventId;

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (origin, number) = text.split_once('-').ok_or(NoEventId)?;
        Ok(Self {
            origin_ms: origin.parse().map_err(|_| NoEventId)?,
            number: number.parse().map_err(|_| NoEventId)?,
        })
    }
}

/// When an event was decided, and where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: EventId,
    /// Unix time, in ms.
    pub at_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is_one() {
        let id = EventId {
            origin_ms: 1_800_000_000_000,
            number: 17,
        };
        assert_eq!(id.to_string(), "1800000000000-17");
        assert_eq!("1800000000000-17".parse(), Ok(id));
        for wrong in ["", "17", "-17", "1-", "a-b", "1-2-3", "1--2"] {
            assert_eq!(wrong.parse::<EventId>(), Err(NoEventId), "{wrong}");
        }
    }
}
