//! Words of closed lists in JSON, typed on both sides of it.

use std::fmt;

use hoist_protocol::device::Trouble;
use hoist_protocol::reason::Reason;
use hoist_protocol::status::{Rollback, ScriptKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::row::{EndReason, PauseReason};

/// A closed list that has a word in JSON for each of its values.
pub trait Worded: Copy + 'static {
    /// Every value, in the order of the list.
    const ALL: &'static [Self];

    /// The word in JSON.
    fn word(self) -> &'static str;
}

macro_rules! worded {
    ($($list:ty),+) => {
        $(impl Worded for $list {
            const ALL: &'static [Self] = &<$list>::ALL;

            fn word(self) -> &'static str {
                <$list>::word(self)
            }
        })+
    };
}

worded!(
    EndReason,
    PauseReason,
    Reason,
    Rollback,
    ScriptKind,
    Trouble
);

/// A value of a closed list, which is its word in JSON. A server writes values of the list alone;
/// a client that is older than its server keeps the words that it does not know as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// A value of the list.
    Of(T),
    /// The word of a newer server.
    Newer(String),
}

impl<T: Worded> Word<T> {
    /// The word as it stands in JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Of(value) => value.word(),
            Self::Newer(word) => word,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(value: T) -> Self {
        Self::Of(value)
    }
}

impl<T: Default> Default for Word<T> {
    fn default() -> Self {
        Self::Of(T::default())
    }
}

impl<T: PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Of(value) if value == other)
    }
}

impl<T: Worded> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<T: Worded> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Worded> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = T::ALL.iter().find(|value| value.word() == text);
        Ok(known.map_or(Self::Newer(text), |value| Self::Of(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_newer_server_is_kept_as_it_came() {
        let word: Word<Reason> = serde_json::from_str("\"out-of-coffee\"").unwrap();
        assert_eq!(word, Word::Newer("out-of-coffee".to_owned()));
        assert_eq!(word.to_string(), "out-of-coffee");
        assert_eq!(serde_json::to_string(&word).unwrap(), "\"out-of-coffee\"");
    }
}
