//! Why a command stops.

use crate::model::error::Rejection;
use crate::model::txn::Undecided;

/// Why a command stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Rows are missing.
    Undecided(Undecided),
    /// It is refused.
    Rejected(Rejection),
}

impl From<Undecided> for Stop {
    fn from(undecided: Undecided) -> Self {
        Self::Undecided(undecided)
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
