//! `user-add`: the adapter that keeps the users carries it out.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Body, Names, VerbEffect};

/// `user-add`; carried out by the adapter that keeps the users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserAdd {
    /// The user's name.
    pub user: String,
    /// The user's role.
    pub role: Role,
    /// The only groups the user may change; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// SHA-256 of the token in hex; the token never travels.
    pub token_sha256: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for UserAdd {
    const WORD: &'static str = "user-add";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;
    const IS_MANAGED: bool = true;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            user: Some(&self.user),
            as_what: Some(self.role.word()),
            more: self.groups.iter().map(String::as_str).collect(),
            ..Names::default()
        }
    }
}
