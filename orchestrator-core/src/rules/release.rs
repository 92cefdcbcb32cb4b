//! Releases, which are immutable.

use hoist_protocol::id::ReleaseId;

use crate::model::effect::Effect;
use crate::model::error::{Code, Rejection};
use crate::model::key::{ReleaseKey, ReleaseNameKey};
use crate::model::release::VerifiedRelease;
use crate::model::row::{ReleaseNameRow, ReleaseRow, release_text};
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Longest `name@version`: more of what was typed is not repeated to the user.
const TEXT_CHARS_MAX: usize = 64 + 1 + 64;

/// Adds a release: the same content again changes nothing but its signature, other content under a known
/// `name@version` is refused. Its id and `name@version`.
pub(crate) fn add(
    ctx: &mut Ctx,
    verified: Option<&VerifiedRelease>,
) -> Result<(ReleaseId, String), Stop> {
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
    match ctx.txn.read(&name)? {
        Some(known) if known.release != id => {
            let why = format!("{text} is already release {}", known.release);
            return Err(Rejection::new(Code::ReleaseExists, why)
                .field("manifest")
                .into());
        }
        Some(_) => {
            seal_anew(ctx, id, &verified.sealed)?;
            return Ok((id, text));
        }
        None => {}
    }
    ctx.txn.put(&name, &ReleaseNameRow { release: id });
    ctx.txn.put(
        &ReleaseKey(id),
        &ReleaseRow {
            sealed: verified.sealed.clone(),
            manifest: verified.manifest.clone(),
            artifacts: verified.artifacts.clone(),
            created_ms: ctx.now.unix_ms,
        },
    );
    let artifacts = verified.manifest.artifacts.iter();
    let added = Effect::ReleaseAdded {
        release: text.clone(),
        artifacts: artifacts.map(|artifact| artifact.id()).collect(),
    };
    ctx.effects.extend([added, Effect::PublishRelease(id)]);
    Ok((id, text))
}

/// Takes another signature of the same content: the key of the one before may be revoked.
fn seal_anew(ctx: &mut Ctx, id: ReleaseId, sealed: &[u8]) -> Result<(), Stop> {
    let key = ReleaseKey(id);
    let mut row = ctx.txn.require(&key)?;
    if row.sealed != sealed {
        row.sealed = sealed.to_vec();
        ctx.txn.put(&key, &row);
        ctx.effects.push(Effect::PublishRelease(id));
    }
    Ok(())
}

/// The refusal of a release that does not exist; what was typed is shown as far as a name
/// and version can be long.
pub(crate) fn unknown(text: &str) -> Rejection {
    let shown: String = text.chars().take(TEXT_CHARS_MAX).collect();
    Rejection::new(Code::Release, format!("release {shown} not found"))
        .field("release")
        .wanted(shown)
}
