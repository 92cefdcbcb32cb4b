//! Releases: immutable, found by id or by `name@version`.

use hoist_protocol::id::ReleaseId;

use crate::decide::Stop;
use crate::effect::{Effect, Effects};
use crate::error::{Code, Rejection};
use crate::input::{Now, VerifiedRelease};
use crate::key::{ReleaseKey, ReleaseNameKey};
use crate::reply::{Answer, release_added, release_text};
use crate::row::{ReleaseNameRow, ReleaseRow};
use crate::txn::Txn;

/// Longest `name@version`: more of what was typed is not repeated to the user.
const TEXT_CHARS_MAX: usize = 64 + 1 + 64;

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
    Ok((release_added(id, &text), vec![Effect::PublishRelease(id)]))
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
