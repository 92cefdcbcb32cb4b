//! `release-add`: a signed manifest, whose artifacts have been uploaded before.

use hoist_protocol::access::Role;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, VerbEffect};
use crate::reply::{Answer, ReleaseAddResult};
use crate::rules::release;
use crate::rules::stop::Stop;

/// `release-add`; the artifacts have been uploaded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseAdd {
    /// The signed release manifest in base64.
    pub manifest: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for ReleaseAdd {
    const WORD: &'static str = "release-add";
    const ROLE: Role = Role::Deployer;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let verified = ask.release;
        let (id, release) = release::add(ask.ctx, verified)?;
        let result = ReleaseAddResult {
            id: id.to_string(),
            release,
        };
        Ok(Answer::ReleaseAdded(result))
    }
}
