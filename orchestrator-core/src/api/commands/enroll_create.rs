//! `enroll-create`: makes a claim, by which devices register themselves.

use hoist_protocol::access::Role;
use hoist_protocol::id::{ClaimId, GroupId, ID_BYTES_MAX};
use serde::{Deserialize, Serialize};

use crate::api::body::{Ask, Body, Names, VerbEffect};
use crate::api::lookup;
use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::ClaimKey;
use crate::model::row::ClaimRow;
use crate::model::timer::{TimerKind, set_timer};
use crate::reply::Answer;
use crate::rules::dynamic;
use crate::rules::stop::Stop;

/// Devices that one claim is for at most.
const USES_MAX: u32 = 1_000_000;
/// Time for which a claim is good when nothing is said, and at most, in seconds.
const EXPIRES_S: u64 = 7 * 24 * 60 * 60;
const EXPIRES_S_MAX: u64 = 10 * 8_766 * 60 * 60;
/// Stars in a pattern: each makes it dearer to look at.
const STARS_MAX: usize = 3;

/// `enroll-create`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollCreate {
    /// The group of the devices that come by it; `unassigned` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Number of devices that may register, 1 to 1,000,000; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Seconds for which it is good, 10 years at most; default 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_secs: Option<u64>,
    /// The ids that it is for: `*` stands for any text, as in `pump-*`; any id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<String>,
    /// Each device waits until an operator approves it; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// Says what would happen, changes nothing; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl Body for EnrollCreate {
    const WORD: &'static str = "enroll-create";
    const ROLE: Role = Role::Admin;
    const EFFECT: VerbEffect = VerbEffect::Changes;

    fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn names(&self) -> Names<'_> {
        Names {
            group: Some(self.group.as_deref().unwrap_or(GroupId::UNASSIGNED)),
            more: self.ids.as_deref().into_iter().collect(),
            ..Names::default()
        }
    }

    fn execute(&self, ask: &mut Ask) -> Result<Answer, Stop> {
        let unassigned = GroupId::unassigned();
        let group = self.group.as_deref().unwrap_or(unassigned.as_str());
        let (group, _) = lookup::group(ask.ctx.txn, group)?;
        ask.may_change(&group)?;
        dynamic::by_hand(&dynamic::all(ask.ctx.txn)?, &group)?;
        let uses = within("uses", self.uses.unwrap_or(1).into(), (USES_MAX.into(), ""))?;
        let expires_s = self.expires_secs.unwrap_or(EXPIRES_S);
        let expires_s = within("expiresSecs", expires_s, (EXPIRES_S_MAX, " (10 years)"))?;
        let ids = pattern(self.ids.as_deref().unwrap_or("*"))?;
        let now_ms = ask.ctx.now.unix_ms;
        let mut number = now_ms;
        let claim = loop {
            let claim = named(number)?;
            if ask.ctx.txn.read(&ClaimKey(claim.clone()))?.is_none() {
                break claim;
            }
            number += 1;
        };
        let row = ClaimRow {
            group,
            ids,
            uses: u32::try_from(uses).unwrap_or(USES_MAX),
            used: 0,
            expires_ms: now_ms.saturating_add(expires_s.saturating_mul(1_000)),
            approval: self.approval,
            created_ms: now_ms,
            by: ask.user.clone(),
            waiting: 0,
        };
        let kind = TimerKind::Claim(claim.clone());
        set_timer(ask.ctx.txn, row.forgotten_ms(), kind)?;
        let answer = match self.dry_run {
            true => Answer::ClaimNamed {
                claim: claim.clone(),
            },
            false => Answer::ClaimCreated {
                claim: claim.clone(),
                group: row.group.clone(),
                uses: row.uses,
                expires_ms: row.expires_ms,
            },
        };
        ask.ctx.txn.put(&ClaimKey(claim.clone()), &row);
        ask.ctx.effects.push(Effect::ClaimMade(claim));
        Ok(answer)
    }
}

/// The name of a claim by its number.
fn named(number: u64) -> Result<ClaimId, Rejection> {
    let name = format!("c-{number:x}").parse();
    name.map_err(|_| Rejection::new(Code::Internal, "a claim gets no name"))
}

fn within(field: &str, value: u64, (most, said): (u64, &str)) -> Result<u64, Rejection> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    let why = format!("{field} is {value}, and has to be a number from 1 to {most}{said}");
    Err(Rejection::new(Code::Command, why).field(field))
}

/// A pattern of ids, if it can be one of any.
fn pattern(text: &str) -> Result<String, Rejection> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-*".contains(c);
    let stars = text.chars().filter(|c| *c == '*').count();
    let fits = (1..=ID_BYTES_MAX).contains(&text.len()) && stars <= STARS_MAX;
    if fits && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().take(ID_BYTES_MAX).collect();
    let why = format!("{shown:?} is no pattern of ids: A-Z a-z 0-9 _ - and up to 3 of *");
    Err(Rejection::new(Code::Name, why).field("ids"))
}
