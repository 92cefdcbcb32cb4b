//! Policies: rollouts that have a name, and versions that never change.

use hoist_protocol::id::Name;

use crate::model::damage::Damage;
use crate::model::error::{Code, Rejection};
use crate::model::key::{PolicyKey, PolicyVersionKey, RowKey};
use crate::model::row::PolicyVersionRow;
use crate::model::txn::{Txn, Undecided};
use crate::rules::stop::Stop;
use crate::rules::text::parse_name;

/// Longest name of which is told that it is not there.
const TEXT_CHARS_MAX: usize = 80;

/// A policy with its version, as people write it.
pub(crate) fn text(name: &Name, version: u32) -> String {
    format!("{name}@{version}")
}

/// A version of a policy.
pub(crate) struct Version {
    pub(crate) name: Name,
    pub(crate) version: u32,
    pub(crate) row: PolicyVersionRow,
}

impl Version {
    /// The rollout as a type that reads its JSON.
    pub(crate) fn rollout<T: serde::de::DeserializeOwned>(&self) -> Result<T, Undecided> {
        serde_json::from_str(&self.row.rollout).map_err(|_| {
            let key = PolicyVersionKey(self.name.clone(), self.version);
            Damage::Lost { key: key.key() }.into()
        })
    }
}

/// The version of a policy that was typed: `careful@3`, or the newest one of `careful`.
pub(crate) fn version(txn: &Txn, typed: &str) -> Result<Version, Stop> {
    let (name, number) = match typed.split_once('@') {
        Some((name, number)) => (name, Some(number.parse().map_err(|_| unknown(typed))?)),
        None => (typed, None),
    };
    let name: Name = parse_name("policy", name)?;
    let newest = txn.read(&PolicyKey(name.clone()))?;
    let newest = newest.ok_or_else(|| unknown(typed))?.versions;
    let version = number.unwrap_or(newest);
    if !(1..=newest).contains(&version) {
        return Err(unknown(typed).into());
    }
    let row = txn.require(&PolicyVersionKey(name.clone(), version))?;
    Ok(Version { name, version, row })
}

fn unknown(typed: &str) -> Rejection {
    let shown: String = typed.chars().take(TEXT_CHARS_MAX).collect();
    let why = format!("policy {} not found", shown.escape_debug());
    Rejection::new(Code::Policy, why).field("policy")
}
