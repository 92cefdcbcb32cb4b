//! Artifacts that are signed and refused all the same, before anything of them is written.

use hoist_protocol::bundle::{Layout, artifact_start};
use hoist_protocol::codec::encode;
use hoist_protocol::id::sha256;
use hoist_protocol::release::{ArtifactManifest, PAYLOADS_MAX};

use super::*;

/// The error of a device for an artifact with this manifest, correctly signed.
async fn refusal(manifest: &ArtifactManifest, size: Option<u64>) -> DownloadError {
    let (_source, packed, _) = release();
    let bytes = artifact_start(manifest, &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, "", dir.path());
    job.artifact.hash = sha256(&encode(manifest));
    let added_up = || Layout::read(&bytes).map_or(1 << 30, |layout| layout.raw_bytes);
    job.artifact.size = size.unwrap_or_else(added_up);
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    job.source = Some(url);
    let error = fetch_all(&job).await.unwrap_err();
    assert_eq!(fs::read_dir(&job.dir).unwrap().count(), 0, "{error}");
    let asked = seen.lock().unwrap().iter().map(|r| r.to).max().unwrap();
    assert!(asked < 128 * 1024, "asked for {asked} bytes: {error}");
    error
}

fn changed(change: impl FnOnce(&mut ArtifactManifest)) -> ArtifactManifest {
    let (_source, packed, _) = release();
    let mut manifest = packed.artifacts[0].manifest.clone();
    change(&mut manifest);
    manifest
}

async fn assert_refused(manifest: ArtifactManifest, size: Option<u64>, reason: Reason) {
    let error = refusal(&manifest, size).await;
    assert_eq!(
        (error.reason, error.retry),
        (reason, Retry::Useless),
        "{error}"
    );
}

#[tokio::test]
async fn a_signed_manifest_with_a_path_outside_is_bad_archive() {
    // bad-inputs row 50
    for target in [
        "../../escaped",
        "/tmp/escaped",
        "c:/escaped",
        "c:\\escaped",
        "sub\\..\\escaped",
        "nul\0",
        "a/./b",
        "",
    ] {
        let manifest = changed(|manifest| manifest.payloads[0].target = target.to_owned());
        assert_refused(manifest, None, Reason::BadArchive).await;
    }
}

#[tokio::test]
async fn signed_targets_that_collide_are_bad_archive() {
    // bad-inputs rows 50 and 52
    for (one, other) in [
        ("app", "app"),
        ("App", "app"),
        ("a", "a/b"),
        ("a/B", "a/b/c"),
        ("scripts/install", "x"),
        ("scripts/ROLLBACK", "x"),
        ("scripts", "x"),
    ] {
        let manifest = changed(|manifest| {
            manifest.payloads[0].target = one.to_owned();
            manifest.payloads[1].target = other.to_owned();
        });
        assert_refused(manifest, None, Reason::BadArchive).await;
    }
}

#[tokio::test]
async fn signed_sizes_and_counts_beyond_the_bounds_are_refused() {
    // bad-inputs row 51
    let too_many = changed(|manifest| {
        let mut payload = manifest.payloads[1].clone();
        for number in manifest.payloads.len()..=PAYLOADS_MAX {
            payload.target = number.to_string();
            manifest.payloads.push(payload.clone());
        }
    });
    assert_refused(too_many, None, Reason::BadArchive).await;
    let endless = changed(|manifest| manifest.payloads[0].segment_size = 0);
    assert_refused(endless, None, Reason::BadArchive).await;
    let huge_segments = changed(|manifest| manifest.payloads[0].segment_size = u32::MAX);
    assert_refused(huge_segments, None, Reason::Unsupported).await;
    let huge_index = changed(|manifest| {
        manifest.payloads[0].size = 1 << 30;
        manifest.payloads[0].segment_size = 16;
    });
    assert_refused(huge_index, None, Reason::Unsupported).await;
    let bomb = changed(|manifest| manifest.payloads[0].size = 1 << 40);
    assert_refused(bomb, Some(1_000_000), Reason::LengthMismatch).await;
    let overflow = changed(|manifest| manifest.payloads[0].size = u64::MAX);
    assert_refused(overflow, Some(1_000_000), Reason::LengthMismatch).await;
}

#[tokio::test]
async fn a_manifest_length_beyond_the_signed_size_is_not_believed() {
    // bad-inputs row 51: four gigabytes of manifest, and one just longer than the file
    let (_source, packed, bytes) = release();
    for length in [u32::MAX, 60_000] {
        let mut lie = length.to_le_bytes().to_vec();
        lie.resize(bytes.len(), 0);
        let (url, seen) = serve(move |asked| ranged(&lie, asked)).await;
        let dir = tempfile::tempdir().unwrap();
        let error = fetch_all(&job(&packed, &url, dir.path()))
            .await
            .unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::HashMismatch, Retry::Useless)
        );
        let asked = seen.lock().unwrap().iter().map(|r| r.to).max().unwrap();
        assert!(asked <= 64 * 1024, "{asked}");
    }
    // Signed as shorter than any artifact can be.
    let (url, _) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, &url, dir.path());
    for size in [0, 3] {
        job.artifact.size = size;
        let error = fetch_all(&job).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::LengthMismatch, Retry::Useless)
        );
    }
}
