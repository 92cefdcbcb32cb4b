//! Verifies a release before it is decided on: signed by a trusted release key, and every
//! artifact there, so that no device is ever sent to fetch what does not exist.

use std::path::Path;

use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::key::ReleaseKey;
use hoist_orchestrator_core::model::release::VerifiedRelease;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::reply::{DamagedArtifact, ReleaseDetail};
use hoist_protocol::bundle::Layout;
use hoist_protocol::envelope::{Kind, PublicKey, open};
use hoist_protocol::id::{ArtifactId, Name, ReleaseId};
use hoist_protocol::release::{ArtifactManifest, ArtifactRef, ReleaseManifest};
use tokio::io::AsyncReadExt;

use crate::artifacts::ArtifactDirectory;
use crate::rows;
use crate::store::Store;

/// The advice for an artifact that is damaged or missing.
const REPAIR: &str = "repair it with `hoist release create` of the same directory";

/// Opens the base64 of a `release-add` and looks for its artifacts.
///
/// # Errors
/// `E_CMD`, `E_SIG`, `E_RELEASE_INVALID` or `E_ARTIFACT`.
pub(crate) async fn verify(
    manifest: &str,
    trusted: &[PublicKey],
    directory: &ArtifactDirectory,
) -> Result<VerifiedRelease, Rejection> {
    let sealed = data_encoding::BASE64.decode(manifest.as_bytes());
    let sealed = sealed.map_err(|_| {
        Rejection::new(Code::Command, "the manifest is not base64").field("manifest")
    })?;
    let opened = open::<ReleaseManifest>(trusted, Kind::Release, "", &sealed);
    let manifest = opened
        .map(|opened| opened.message)
        .map_err(|error| match error.code() {
            Code::Signature => Rejection::new(Code::Signature, error.to_string())
                .field("manifest")
                .hint("sign it with the release key that the root document names"),
            _ => Rejection::new(Code::ReleaseInvalid, error.to_string()).field("manifest"),
        })?;
    let mut artifacts = Vec::with_capacity(manifest.artifacts.len());
    for artifact in &manifest.artifacts {
        artifacts.push(name_of(artifact, directory).await?);
    }
    Ok(VerifiedRelease {
        sealed,
        manifest,
        artifacts,
    })
}

async fn name_of(artifact: &ArtifactRef, directory: &ArtifactDirectory) -> Result<Name, Rejection> {
    Ok(manifest_of(artifact, directory).await?.name)
}

/// The refusal of what no device could fetch.
pub(crate) fn damaged(id: ArtifactId) -> Rejection {
    let why = format!("artifact {id} is damaged or missing on the server");
    Rejection::new(Code::Artifact, why)
        .field("release")
        .hint(REPAIR)
}

/// Says which artifacts of a release are not there to be fetched.
pub(crate) async fn show_damage(
    store: &dyn Store,
    directory: &ArtifactDirectory,
    shown: &mut ReleaseDetail,
) {
    let Ok(id) = shown.item.id.parse::<ReleaseId>() else {
        return;
    };
    let key = ReleaseKey(id);
    let read = rows::resolve(store, &mut Txn::default(), |txn| txn.read(&key)).await;
    let row = read.unwrap_or_else(|error| {
        tracing::warn!(%error, "the artifacts of a release are not looked at");
        None
    });
    let Some(row) = row else { return };
    for (artifact, name) in row.manifest.artifacts.iter().zip(&row.artifacts) {
        if let Some(found) = directory.state_of(artifact.id()) {
            shown.damaged.push(DamagedArtifact {
                artifact: name.to_string(),
                id: artifact.id().to_string(),
                found: found.to_owned(),
            });
        }
    }
    if !shown.damaged.is_empty() {
        shown.next = Some(REPAIR.to_owned());
    }
}

/// The manifest at the start of an artifact's file.
///
/// # Errors
/// `E_ARTIFACT`: it is not there, or not what its release says.
pub(crate) async fn manifest_of(
    artifact: &ArtifactRef,
    directory: &ArtifactDirectory,
) -> Result<ArtifactManifest, Rejection> {
    let id = artifact.id();
    if directory.is_damaged(id) {
        return Err(damaged(id));
    }
    if !directory.contains(id) {
        return Err(Rejection::new(
            Code::Artifact,
            format!("artifact {id} has not been uploaded"),
        ));
    }
    let unreadable = |why: String| {
        Rejection::new(
            Code::Artifact,
            format!("artifact {id} cannot be read: {why}"),
        )
        .hint("upload it again")
    };
    let start = read_start(&directory.path(id))
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    let layout =
        Layout::read_expected(&start, artifact).map_err(|error| unreadable(error.to_string()))?;
    Ok(layout.manifest)
}

/// The length and manifest at the start of an artifact file.
async fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut start = vec![0; 4];
    file.read_exact(&mut start).await?;
    let length = Layout::manifest_bytes(&start).map_err(std::io::Error::other)?;
    start.resize(4 + length, 0);
    file.read_exact(&mut start[4..]).await?;
    Ok(start)
}
