//! A finding about a device, in words for people.

use crate::reply::{Nothing, Why};

/// The explanation of one failing rule.
pub(super) struct Finding {
    pub(super) why: Why,
    pub(super) says: String,
    pub(super) next: String,
    /// When that is, in Unix ms.
    pub(super) at_ms: Option<u64>,
}

impl From<Finding> for Nothing {
    fn from(said: Finding) -> Self {
        Self {
            why: said.why,
            says: said.says,
            next: said.next,
        }
    }
}

impl Finding {
    pub(super) fn new(why: Why, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            why,
            says: says.into(),
            next: next.into(),
            at_ms: None,
        }
    }

    pub(super) fn at(self, at_ms: u64) -> Self {
        Self {
            at_ms: Some(at_ms),
            ..self
        }
    }
}
