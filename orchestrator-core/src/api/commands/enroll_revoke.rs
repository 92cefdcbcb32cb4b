//! `enroll-revoke`: nobody registers by a claim any more. Devices that have come by it stay; those
//! that wait for approval by it wait no longer.

use hoist_protocol::access::Role;
use hoist_protocol::id::ClaimId;
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::model::error::{Code, Rejection};
use crate::model::key::ClaimKey;
use crate::reply::Answer;
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;
use crate::rules::waiting;

/// `enroll-revoke`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollRevoke {
    /// The claim.
    pub claim: String,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for EnrollRevoke {
    const WORD: &'static str = "enroll-revoke";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            more: vec![&self.claim],
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let claim: ClaimId = parse_name("claim", &self.claim)?;
        let Some(row) = ask.ctx.txn.read(&ClaimKey(claim.clone()))? else {
            let why = format!("there is no claim {claim}");
            let refusal = Rejection::new(Code::Claim, why).field("claim");
            return Err(refusal
                .hint("list the claims with `hoist enroll list`")
                .into());
        };
        ask.may_change(&row.group)?;
        waiting::end_claim(ask.ctx, &claim)?;
        Ok(Answer::ClaimNamed { claim })
    }
}
