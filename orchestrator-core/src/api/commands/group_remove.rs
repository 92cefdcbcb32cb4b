//! `group-remove`: a group that nobody needs goes.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::reply::Answer;
use crate::rules::group;
use crate::rules::stop::Stop;

/// `group-remove`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRemove {
    /// The group's id.
    pub group: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for GroupRemove {
    const WORD: &'static str = "group-remove";
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
        let (group, row) = lookup::group(ask.ctx.txn, &self.group)?;
        ask.may_change(&group)?;
        group::remove(ask.ctx, &group, &row)?;
        Ok(Answer::GroupRemoved { group })
    }
}
