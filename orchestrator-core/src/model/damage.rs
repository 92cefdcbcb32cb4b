//! Damage to stored rows. Nothing is decided on such a row and nothing is made up in its place:
//! whatever needs it stops, and everything else goes on.

use hoist_protocol::codec::{DecodeError, EncodeError};

use crate::model::key::Key;

/// A stored row on which nothing can be decided: someone must act (bad-inputs row 62).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not as any version of this program writes it.
    #[error("the row of {key} cannot be read")]
    Unreadable {
        /// Which row.
        key: Key,
        /// The fault in the row.
        #[source]
        source: DecodeError,
    },
    /// It was to be written so that no version of this program could read it.
    #[error("the row of {key} cannot be written")]
    Unwritable {
        /// Which row.
        key: Key,
        /// The fault in what was to be written.
        #[source]
        source: EncodeError,
    },
    /// It is not there, though another row says that it must be.
    #[error("the row of {key} is lost")]
    Lost {
        /// Which row.
        key: Key,
    },
}

impl Damage {
    /// Which row.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Unreadable { key, .. } | Self::Unwritable { key, .. } | Self::Lost { key } => key,
        }
    }

    /// The fault and its cause in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Unreadable { source, .. } => format!("{self}: {source}"),
            Self::Unwritable { source, .. } => format!("{self}: {source}"),
            Self::Lost { .. } => format!("{self}: other rows say that it must be there"),
        }
    }
}
