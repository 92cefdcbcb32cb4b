//! Why something is refused: a [`Rejection`] says what failed, why and what to do, under a
//! code of the one table.

use serde::{Deserialize, Serialize};

pub use hoist_protocol::code::Code;

use crate::model::damage::Damage;

/// A refusal, as a value: what, why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Rejection {
    /// Which rule refused.
    pub code: Code,
    /// One sentence with the particulars.
    pub detail: String,
    /// The advice, when more is known than [`Code::hint`].
    pub hint: Option<String>,
    /// The field of the command at fault.
    pub field: Option<String>,
    /// The name that was not found: the adapter looks for one like it ("did you mean").
    pub wanted: Option<String>,
}

impl From<&Damage> for Rejection {
    fn from(damage: &Damage) -> Self {
        Self::new(Code::StoreDamaged, damage.sentence())
    }
}

impl Rejection {
    /// A refusal with its particulars.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: None,
            field: None,
            wanted: None,
        }
    }

    /// Says which name was not found.
    #[must_use]
    pub fn wanted(mut self, name: impl Into<String>) -> Self {
        self.wanted = Some(name.into());
        self
    }

    /// Names the field of the command at fault.
    #[must_use]
    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Says what to do in this very case.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
