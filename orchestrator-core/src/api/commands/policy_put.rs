//! `policy-put`: a rollout under a name. Each change of it is another version.

use hoist_protocol::access::Role;
use hoist_protocol::id::Name;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::commands::deploy::rollout::Rollout;
use crate::api::commands::deploy::{Deploy, spread};
use crate::model::error::{Code, Rejection};
use crate::model::key::{PolicyKey, PolicyVersionKey};
use crate::model::row::{PolicyRow, PolicyVersionRow};
use crate::reply::{Answer, PolicyResult};
use crate::rules::policy;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;

/// `policy-put`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyPut {
    /// Its name: 1 to 64 of A-Z a-z 0-9 _ -
    pub name: String,
    /// The way in which deployments of it spread.
    pub rollout: Rollout,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for PolicyPut {
    const WORD: &'static str = "policy-put";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;
    /// A policy is for every group.
    const OF_ALL_GROUPS: bool = true;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            more: vec![self.name.as_str()],
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let name: Name = parse_name("name", &self.name)?;
        let now_ms = ask.ctx.now.unix_ms;
        let wish = Deploy {
            rollout: Some(self.rollout.clone()),
            ..Deploy::default()
        };
        spread::rollout(&wish, now_ms)?;
        spread::confirm(&self.rollout)?;
        let rollout = serde_json::to_string(&self.rollout).map_err(|error| {
            let why = format!("the rollout cannot be kept: {error}");
            Rejection::new(Code::Internal, why)
        })?;
        let mut row: PolicyRow = ask.ctx.txn.read_or_empty(&PolicyKey(name.clone()))?;
        let newest = PolicyVersionKey(name.clone(), row.versions);
        let newest = ask.ctx.txn.read(&newest)?;
        // The same again is the same version.
        if newest.is_none_or(|newest| newest.rollout != rollout) {
            row.versions += 1;
            let key = PolicyVersionKey(name.clone(), row.versions);
            ask.ctx.txn.read(&key)?;
            let version = PolicyVersionRow {
                rollout,
                by: ask.user.clone(),
                at_ms: now_ms,
            };
            ask.ctx.txn.put(&key, &version);
            ask.ctx.txn.put(&PolicyKey(name.clone()), &row);
        }
        let policy = policy::text(&name, row.versions);
        Ok(Answer::PolicyPut(PolicyResult { policy }))
    }
}
