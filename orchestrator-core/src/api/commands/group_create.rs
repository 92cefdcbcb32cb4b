//! `group-create`; the same group again is the same answer.

use hoist_protocol::access::Role;
use hoist_protocol::id::GroupId;
use hoist_protocol::topic::View;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::effect::Effect;
use crate::model::row::PassWork;
use crate::model::selector::Selector;
use crate::reply::Answer;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;
use crate::rules::{dynamic, group, pass};

/// `group-create`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupCreate {
    /// The group's id.
    pub group: String,
    /// The labels of its members, as `ring=canary`: devices that no operator put elsewhere come and
    /// go as their labels say. Another selector takes the place of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
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
        if let Some(selector) = &self.selector {
            follow_labels(ask, &group, Selector::parse(selector)?)?;
        }
        group::ensure(ask.ctx, &group)?;
        Ok(Answer::GroupCreated { group })
    }
}

/// Lets the members of a group follow from labels; devices come and go in the background.
fn follow_labels(ask: &mut Ask, group: &GroupId, selector: Selector) -> Result<(), Stop> {
    // Its members come from there, and go there.
    ask.may_change(&GroupId::unassigned())?;
    let is_there = group::read(ask.ctx.txn, group)?.is_some();
    if dynamic::select(ask.ctx, group, selector, is_there)? {
        let view = View::Group(group.clone());
        ask.ctx.effects.push(Effect::ViewChanged(view));
        pass::begin(ask.ctx, PassWork::Place, Vec::new(), ask.user)?;
    }
    Ok(())
}
