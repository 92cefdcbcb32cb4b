//! `user-remove`: the adapter that keeps the users carries it out.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Body, Names, VerbEffect};

/// `user-remove`; carried out by the adapter that keeps the users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserRemove {
    /// The user's name.
    pub user: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for UserRemove {
    const WORD: &'static str = "user-remove";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;
    const IS_MANAGED: bool = true;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            user: Some(&self.user),
            ..Names::default()
        }
    }
}
