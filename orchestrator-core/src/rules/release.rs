//! Releases: immutable, found by id or by `name@version`.

use hoist_protocol::id::{DeploymentId, ReleaseId};

use crate::api::command::ReleaseRemove;
use crate::engine::decide::Stop;
use crate::model::effect::{Effect, Effects};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Now, Uses, VerifiedRelease};
use crate::model::key::{DeploymentKey, MetaKey, ReleaseKey, ReleaseNameKey, RowKey};
use crate::model::row::{ReleaseNameRow, ReleaseRow};
use crate::model::txn::Txn;
use crate::reply::{Answer, ReleaseAddResult, release_added, release_text};
use crate::rules::deployment::settled::has_settled;

/// Longest `name@version`: more of what was typed is not repeated to the user.
const TEXT_CHARS_MAX: usize = 64 + 1 + 64;
/// Deployments that are made between a look at all of them and the decision, at most: more is
/// no moment to remove a release in.
const NEWER_MAX: u32 = 1_024;

/// `release-add`: the same content again is the same answer, other content under a known
/// `name@version` is refused.
pub(crate) fn add(
    txn: &mut Txn,
    verified: Option<&VerifiedRelease>,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    let Some(verified) = verified else {
        let why = "the manifest could not be verified";
        return Err(Rejection::new(Code::ReleaseInvalid, why)
            .field("manifest")
            .into());
    };
    if verified.artifacts.len() != verified.manifest.artifacts.len() {
        let why = "an artifact of the release is not known by name";
        return Err(Rejection::new(Code::Artifact, why).field("manifest").into());
    }
    let id = verified.manifest.id();
    let text = release_text(&verified.manifest.name, &verified.manifest.version);
    let name = ReleaseNameKey(text.clone());
    match txn.read(&name)? {
        Some(known) if known.release != id => {
            let why = format!("{text} is already release {}", known.release);
            return Err(Rejection::new(Code::ReleaseExists, why)
                .field("manifest")
                .into());
        }
        Some(_) => return Ok((release_added(id, &text), Vec::new())),
        None => {}
    }
    txn.put(&name, &ReleaseNameRow { release: id });
    txn.put(
        &ReleaseKey(id),
        &ReleaseRow {
            sealed: verified.sealed.clone(),
            manifest: verified.manifest.clone(),
            artifacts: verified.artifacts.clone(),
            created_ms: now.unix_ms,
        },
    );
    let artifacts = verified.manifest.artifacts.iter();
    let added = Effect::ReleaseAdded {
        release: text.clone(),
        artifacts: artifacts.map(|artifact| artifact.id()).collect(),
    };
    let effects = vec![added, Effect::PublishRelease(id)];
    Ok((release_added(id, &text), effects))
}

/// Finds the release that a command names as `name@version` or by its id.
pub(crate) fn named(txn: &Txn, text: &str) -> Result<(ReleaseId, ReleaseRow), Stop> {
    let unknown = || unknown(text);
    let id = match text.parse::<ReleaseId>() {
        Ok(id) => id,
        Err(_) => {
            txn.read(&ReleaseNameKey(text.to_owned()))?
                .ok_or_else(unknown)?
                .release
        }
    };
    let row = txn.read(&ReleaseKey(id))?.ok_or_else(unknown)?;
    Ok((id, row))
}

/// The refusal of a release that does not exist; what was typed is shown as far as a name
/// and version can be long.
pub(crate) fn unknown(text: &str) -> Rejection {
    let shown: String = text.chars().take(TEXT_CHARS_MAX).collect();
    Rejection::new(Code::Release, format!("release {shown} not found"))
        .field("release")
        .wanted(shown)
}

/// `release-remove`: nobody needs it any more. Deployments that are over keep its name.
pub(crate) fn remove(
    txn: &mut Txn,
    input: &CommandInput,
    command: &ReleaseRemove,
) -> Result<(Answer, Effects), Stop> {
    let (id, row) = named(txn, &command.release)?;
    let text = release_text(&row.manifest.name, &row.manifest.version);
    if !input.groups.is_empty() {
        let why = format!("{text} is for all groups, and {} has only some", input.user);
        return Err(Rejection::new(Code::Role, why).field("release").into());
    }
    let Some(uses) = &input.uses else {
        let why = "the deployments could not be looked at";
        return Err(Rejection::new(Code::Internal, why).into());
    };
    if let Some(user) = needed_by(txn, id, uses)? {
        let why = format!("{text} is needed: deployment {user} is not over on every device");
        let hint = format!("see `hoist deployment show {user}`, and wait for it or abort it");
        let refusal = Rejection::new(Code::ReleaseInUse, why).field("release");
        return Err(refusal.hint(hint).into());
    }
    let name = ReleaseNameKey(text.clone());
    // Loaded, as every row that is deleted.
    txn.read(&name)?;
    txn.delete(&name);
    txn.delete(&ReleaseKey(id));
    let artifacts = row.manifest.artifacts.iter();
    let effect = Effect::ReleaseRemoved {
        release: id,
        artifacts: artifacts.map(|artifact| artifact.id()).collect(),
    };
    let result = ReleaseAddResult {
        id: id.to_string(),
        release: text,
    };
    Ok((Answer::ReleaseRemoved(result), vec![effect]))
}

/// The first deployment that needs a release: of those that did when all were looked at, and
/// of those that were made since.
fn needed_by(txn: &Txn, release: ReleaseId, uses: &Uses) -> Result<Option<DeploymentId>, Stop> {
    let last = txn.read(&MetaKey)?.unwrap_or_default().last_deployment;
    if last.0.saturating_sub(uses.last.0) > NEWER_MAX {
        let why = "many deployments are being created";
        return Err(Rejection::new(Code::Busy, why).into());
    }
    let newer = (uses.last.0.saturating_add(1)..=last.0).map(DeploymentId);
    let ids: Vec<DeploymentId> = uses.by.iter().copied().chain(newer).collect();
    txn.want(ids.iter().map(|id| DeploymentKey(*id).key()))?;
    for id in ids {
        let row = txn.read(&DeploymentKey(id))?;
        if let Some(row) = row.filter(|row| row.release == release)
            && !has_settled(txn, id, &row)?
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
