//! `group-create`; the same group again is the same answer.

use hoist_protocol::access::Role;
use hoist_protocol::id::GroupId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::reply::Answer;
use crate::rules::group;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;

/// `group-create`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupCreate {
    /// The group's id.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for GroupCreate {
    const WORD: &'static str = "group-create";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            group: Some(&self.group),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let group: GroupId = parse_name("group", &self.group)?;
        // Whoever is limited to groups creates no other.
        ask.may_change(&group)?;
        group::ensure(ask.ctx, &group)?;
        Ok(Answer::GroupCreated { group })
    }
}
