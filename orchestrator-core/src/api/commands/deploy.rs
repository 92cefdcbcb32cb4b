//! `deploy`: one release to one group, or to several, one deployment each.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::commands::deploy::rollout::Rollout;
use crate::api::commands::deploy::template::{groups, template};
use crate::model::error::Rejection;
use crate::model::row::DeploymentRow;
use crate::model::state::CompleteWhen;
use crate::reply::{Answer, Plan as PlanItem, PlanResult};
use crate::rules::deployment::{self, Placed};
use crate::rules::stop::Stop;

/// `deploy`: one release to one group, or to several, one deployment each. Also `plan`,
/// which only says what that would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deploy {
    /// `name@version`, or a release id.
    pub release: String,
    /// The group; this or `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Several groups, at most 32: one deployment each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// RFC 3339 time before which it is not listed (S2); at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The limit that ends it by itself (S10); none when absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::api::object::optional"
    )]
    pub limit: Option<Limit>,
    /// The condition on which it completes besides its limit (S1); default `aborted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_when: Option<CompleteWhen>,
    /// Seconds a device has from its start to its deadline; at least 1, default 86400. Behind it no
    /// download, run of a script or attempt is begun anew; what runs ends by itself or by its
    /// script's own `timeout`, and what succeeds goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
    /// Attempts a device has before it fails; at least 1, default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Devices spread their starts over this many seconds; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_secs: Option<u32>,
    /// Also installs a release whose counter is below the installed one, down to the floor that
    /// a device has confirmed; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_downgrade: bool,
    /// Installs also where everything is there already (S12); default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reinstall: bool,
    /// Starts on a device before the deployments that wait there, also older ones; what has started
    /// is finished first; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Only devices of the group whose labels fit, as `site=eu,board in (a,b),!broken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Only these devices of the group, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// The manner in which it spreads; everybody at once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// A policy in the place of `rollout`: `careful@3`, or `careful` for its newest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Sets the windows of the policy, or of `rollout`, aside; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_windows: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The limit that ends a deployment by itself (S10).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Completes when this many devices have started; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<u32>,
    /// RFC 3339 time at which it completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Body for Deploy {
    const WORD: &'static str = "deploy";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn release_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.release)
    }

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            release: Some(&self.release),
            group: self.group.as_deref(),
            more: self.groups.iter().flatten().map(String::as_str).collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (groups, several) = groups(ask.ctx.txn, self)?;
        for group in &groups {
            ask.may_change(group)?;
        }
        if self.dry_run {
            return planned(ask, self);
        }
        let resolved = policy::resolved(ask.ctx.txn, self)?;
        let template = template(ask.ctx.txn, ask.user, &resolved, ask.ctx.now)?;
        let rollout = spread::rollout(&resolved, ask.ctx.now.unix_ms)?;
        let (mut items, mut existing) = (Vec::new(), Vec::new());
        for group in groups {
            let row = DeploymentRow {
                group,
                ..template.clone()
            };
            items.push(match deployment::create(ask.ctx, row, rollout.as_ref())? {
                Placed::New(item) => item,
                Placed::There(item) => {
                    existing.push(item.deployment);
                    item
                }
            });
        }
        Ok(match existing.is_empty() {
            true => Answer::Deployed { items, several },
            false => Answer::DeployedBeside {
                items,
                several,
                existing,
            },
        })
    }
}

/// A dry run is refused as a whole, as the command would be.
fn planned(ask: &mut Ask, command: &Deploy) -> Result<Answer, Stop> {
    let plans = plan::plans(ask.ctx, ask.user, command)?.into_iter();
    let plans = plans.map(|(plan, refusal)| refusal.map_or(Ok(plan), Err));
    let plans: Result<Vec<PlanItem>, Rejection> = plans.collect();
    Ok(Answer::Planned(PlanResult { plans: plans? }))
}

pub(crate) mod plan;
mod policy;
pub mod rollout;
mod schedule;
pub(crate) mod spread;
pub(crate) mod template;
mod window;
