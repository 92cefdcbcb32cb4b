//! Selects devices by their labels, in the grammar that Kubernetes users know:
//! `site=eu,board in (a,b),!broken`. A device is selected when every term holds for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::error::Rejection;

mod reader;
#[cfg(test)]
mod tests;

/// Longest selector, in bytes: it is in rows and replies.
pub const SELECTOR_BYTES_MAX: usize = 1_024;
/// Most terms of a selector: a device has no more than half as many labels.
pub const TERMS_MAX: usize = 32;

/// The devices whose labels fulfill every term; there is at least one, so that no forgotten text
/// selects the whole fleet. Stored and shown as its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    terms: Vec<Term>,
}

/// A condition on the label of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: String,
    wants: Wants,
}

/// A condition on a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    /// `k`: there is a label of this name.
    Any,
    /// `!k`: there is none.
    Missing,
    /// `k=v`: there is one of this value.
    Is(String),
    /// `k!=v`: there is none of this value; a device without the label is selected.
    IsNot(String),
    /// `k in (v,w)`: there is one of these values.
    In(Vec<String>),
    /// `k notin (v,w)`: there is none of these values; a device without the label is selected.
    NotIn(Vec<String>),
}

impl Selector {
    /// Reads a selector that somebody typed.
    ///
    /// # Errors
    /// With the column in which it stops being one.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        reader::selector(text).map_err(|error| error.told(text))
    }

    /// True if a device with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &[(String, String)]) -> bool {
        self.terms.iter().all(|term| term.holds(labels))
    }
}

impl Term {
    fn holds(&self, labels: &[(String, String)]) -> bool {
        let label = labels.iter().find(|(key, _)| *key == self.key);
        let value = label.map(|(_, value)| value);
        match &self.wants {
            Wants::Any => value.is_some(),
            Wants::Missing => value.is_none(),
            Wants::Is(wanted) => value == Some(wanted),
            Wants::IsNot(unwanted) => value != Some(unwanted),
            Wants::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Wants::NotIn(unwanted) => !value.is_some_and(|value| unwanted.contains(value)),
        }
    }
}

impl FromStr for Selector {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Selector {
    type Error = Rejection;

    fn try_from(text: String) -> Result<Self, Rejection> {
        Self::parse(&text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = Word(&self.key);
        match &self.wants {
            Wants::Any => write!(f, "{key}"),
            Wants::Missing => write!(f, "!{key}"),
            Wants::Is(value) => write!(f, "{key}={}", Word(value)),
            Wants::IsNot(value) => write!(f, "{key}!={}", Word(value)),
            Wants::In(values) => write!(f, "{key} in ({})", List(values)),
            Wants::NotIn(values) => write!(f, "{key} notin ({})", List(values)),
        }
    }
}

/// A name or value as it is typed: in quotes where it would not be read as one word.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(reader::is_bare) {
            return f.write_str(self.0);
        }
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"")
    }
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", Word(value))?;
        }
        Ok(())
    }
}
