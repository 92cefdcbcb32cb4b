//! `freeze` and `unfreeze`: nobody in a group, or anywhere, starts anything while it lasts.

use hoist_protocol::access::Role;
use hoist_protocol::id::GroupId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::model::error::{Code, Rejection};
use crate::reply::{Answer, FreezeResult};
use crate::rules::freeze;
use crate::rules::stop::Stop;

/// `freeze`: nobody starts anything; who has started finishes, and what is deployed waits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// The group; everything, groups that are created later included, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// `unfreeze`: what waits begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unfreeze {
    /// The group; the freeze of everything when absent, and groups that were frozen by
    /// themselves stay so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Refuses everything to a user who may change some groups only.
fn may_change_all(ask: &Ask) -> Result<(), Rejection> {
    if ask.groups.is_empty() {
        return Ok(());
    }
    let why = format!("{} may change some groups only, and named none", ask.user);
    Err(Rejection::new(Code::Role, why).field("group"))
}

fn answer(group: Option<&GroupId>, frozen: bool) -> Answer {
    let group = group.map(ToString::to_string);
    Answer::Frozen(FreezeResult { group, frozen })
}

fn names(group: Option<&String>) -> Names<'_> {
    Names {
        group: group.map(String::as_str),
        as_what: group.is_none().then_some("everything"),
        ..Names::default()
    }
}

impl Body for Freeze {
    const WORD: &'static str = "freeze";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        names(self.group.as_ref())
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let frozen = true;
        let Some(group) = &self.group else {
            may_change_all(ask)?;
            freeze::everything(ask.ctx, ask.user)?;
            return Ok(answer(None, frozen));
        };
        let (group, row) = lookup::group(ask.ctx.txn, group)?;
        ask.may_change(&group)?;
        freeze::group(ask.ctx, &group, row, ask.user)?;
        Ok(answer(Some(&group), frozen))
    }
}

impl Body for Unfreeze {
    const WORD: &'static str = "unfreeze";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        names(self.group.as_ref())
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let Some(group) = &self.group else {
            may_change_all(ask)?;
            freeze::lift_everything(ask.ctx, ask.user)?;
            return Ok(answer(None, false));
        };
        let (group, row) = lookup::group(ask.ctx.txn, group)?;
        ask.may_change(&group)?;
        freeze::lift_group(ask.ctx, &group, row, ask.user)?;
        // It may be frozen with everything else.
        let frozen = freeze::of_everything(ask.ctx.txn)?.is_some();
        Ok(answer(Some(&group), frozen))
    }
}
