//! `release-remove`: nobody needs the release any more. Deployments that are over keep its name.

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, ReleaseId};
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::{DeploymentKey, ReleaseKey, ReleaseNameKey, RowKey};
use crate::model::release::Uses;
use crate::model::row::release_text;
use crate::model::txn::Txn;
use crate::reply::{Answer, ReleaseAddResult};
use crate::rules::deployment::settled::has_settled;
use crate::rules::stop::Stop;

/// Deployments that are made between a look at all of them and the decision, at most: more is
/// no moment to remove a release in.
const NEWER_MAX: u32 = 1_024;

/// `release-remove`: refused while a deployment that has not ended, or a device at work, needs
/// the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRemove {
    /// `name@version`, or a release id.
    pub release: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for ReleaseRemove {
    const WORD: &'static str = "release-remove";
    const ROLE: Role = Role::Admin;
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
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let (id, row) = lookup::release(ask.ctx.txn, &self.release)?;
        let text = release_text(&row.manifest.name, &row.manifest.version);
        let user = ask.user;
        if !ask.groups.is_empty() {
            let why = format!("{text} is for all groups, and {user} has only some");
            return Err(Rejection::new(Code::Role, why).field("release").into());
        }
        let Some(uses) = ask.uses else {
            let why = "the deployments could not be looked at";
            return Err(Rejection::new(Code::Internal, why).into());
        };
        if let Some(user) = needed_by(ask.ctx.txn, id, uses)? {
            let why = format!("{text} is needed: deployment {user} is not over on every device");
            let hint = format!("see `hoist deployment show {user}`, and wait for it or abort it");
            let refusal = Rejection::new(Code::ReleaseInUse, why).field("release");
            return Err(refusal.hint(hint).into());
        }
        let name = ReleaseNameKey(text.clone());
        // Loaded, as every row that is deleted.
        ask.ctx.txn.read(&name)?;
        ask.ctx.txn.delete(&name);
        ask.ctx.txn.delete(&ReleaseKey(id));
        let artifacts = row.manifest.artifacts.iter();
        ask.ctx.effects.push(Effect::ReleaseRemoved {
            release: id,
            artifacts: artifacts.map(|artifact| artifact.id()).collect(),
        });
        let result = ReleaseAddResult {
            id: id.to_string(),
            release: text,
        };
        Ok(Answer::ReleaseRemoved(result))
    }
}

/// The first deployment that needs a release: of those that did when all were looked at, and
/// of those that were made since. The numbers of one orchestrator alone are looked at (`docs/rules.md`).
fn needed_by(txn: &Txn, release: ReleaseId, uses: &Uses) -> Result<Option<DeploymentId>, Stop> {
    let last = txn.instance()?.last_deployment;
    if last.0.saturating_sub(uses.last.0) > NEWER_MAX {
        let why = "many deployments are being created";
        return Err(Rejection::new(Code::Busy, why).into());
    }
    let newer = (uses.last.0.saturating_add(1)..=last.0).map(DeploymentId);
    let ids: Vec<DeploymentId> = uses.by.iter().copied().chain(newer).collect();
    txn.want(ids.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in ids {
        let row = txn.read(&DeploymentKey(id))?;
        if let Some(row) = row.filter(|row| row.release == release || row.fallback == Some(release))
            && !has_settled(txn, id, &row)?
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
