//! The policy that a command names.

use crate::api::commands::deploy::Deploy;
use crate::model::error::{Code, Rejection};
use crate::model::txn::Txn;
use crate::rules::policy::{text, version};
use crate::rules::stop::Stop;

/// The command with the rollout of the policy that it names, and without windows when these are to
/// be ignored.
pub(super) fn resolved(txn: &Txn, command: &Deploy) -> Result<Deploy, Stop> {
    let mut command = command.clone();
    if let Some(typed) = &command.policy {
        if command.rollout.is_some() {
            let why = "say either policy or rollout, not both";
            return Err(Rejection::new(Code::Command, why).field("policy").into());
        }
        let version = version(txn, typed)?;
        command.policy = Some(text(&version.name, version.version));
        command.rollout = Some(version.rollout()?);
    }
    if let Some(rollout) = command.rollout.as_mut().filter(|_| command.ignore_windows) {
        rollout.windows = None;
    }
    Ok(command)
}
