//! Specs of ours that the store knows nothing of: it is an older copy of what it was, or
//! another server signs with its keys (bad-inputs rows 64 and 66).

use std::fmt;

use hoist_protocol::id::{DeploymentId, Generation};
use hoist_protocol::spec::GroupSpec;

use crate::model::time::format_time;

/// The evidence that the store is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// Where it was found.
    pub place: String,
    /// The fact that it shows.
    pub shows: Shows,
}

/// A fact in a spec of ours that the store knows nothing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// It was signed after everything that the store knows of.
    Signed {
        /// When.
        at: Generation,
        /// Nothing that the store knows of was signed later.
        known: Generation,
    },
    /// It lists a deployment with a number that was not given yet.
    Deployment {
        /// Which.
        listed: DeploymentId,
        /// The highest number that was given.
        known: DeploymentId,
    },
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shows {
            Shows::Signed { at, known } => write!(
                f,
                "{} was signed at {}, and the store knows of nothing after {}",
                self.place,
                format_time(at.0),
                format_time(known.0)
            ),
            Shows::Deployment { listed, known } => write!(
                f,
                "{} lists deployment {listed}, and the store knows of none after {known}",
                self.place
            ),
        }
    }
}

/// What a group's spec with our signature shows that a store knows nothing of which let nothing
/// be signed after `reserved`, and gave no number above `last`.
#[must_use]
pub fn ahead_of(spec: &GroupSpec, (reserved, last): (Generation, DeploymentId)) -> Option<Shows> {
    let at = spec.generation;
    let listed = spec.entries.iter().map(|entry| entry.deployment).max();
    match listed {
        _ if at > reserved => Some(Shows::Signed {
            at,
            known: reserved,
        }),
        Some(listed) if listed > last => Some(Shows::Deployment {
            listed,
            known: last,
        }),
        _ => None,
    }
}
