//! Downloads from a small server that lies in every way it can.

mod cuts;
mod refused;
mod resume;
mod servers;

use hoist_net::tls::Trust;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hoist_protocol::reason::Reason;
use hoist_protocol::status::ScriptKind;
use tempfile::TempDir;

use super::receive::START_BYTES;
use super::test_server::{Answer, Asked, Faulty, Seen, ranged, serve, status, whole};
use super::*;
use crate::agent::bundle::{PackedRelease, read_release_dir};
use crate::agent::files::SystemFiles;

const CONTENT_BYTES: usize = 700_000;
const SEGMENT: usize = 256 * 1024;

/// A release with one payload of three segments, an empty one and two scripts.
fn release() -> (TempDir, PackedRelease, Vec<u8>) {
    let content: Vec<u8> = (0..CONTENT_BYTES).map(|n| (n / 251 % 256) as u8).collect();
    release_of(&[("sub/app.bin", &content), ("empty", b"")])
}

/// A release with these payloads and two scripts.
fn release_of(payloads: &[(&str, &[u8])]) -> (TempDir, PackedRelease, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (target, content) in payloads {
        let path = dir.path().join("payload").join(target);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        names.push(format!("\"payload/{target}\""));
    }
    fs::create_dir_all(dir.path().join("scripts")).unwrap();
    for name in ["install", "rollback"] {
        let path = dir.path().join("scripts").join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let payload = names.join(", ");
    let text = format!("name = \"app\"\nversion = \"1\"\npayload = [{payload}]\n");
    fs::write(dir.path().join("artifact.toml"), text).unwrap();
    let packed = read_release_dir(dir.path()).unwrap();
    let bytes = packed.artifacts[0].to_bytes().unwrap();
    (dir, packed, bytes)
}

fn job(packed: &PackedRelease, source: &str, dir: &Path) -> Fetch {
    let second = Duration::from_secs(5);
    Fetch {
        files: Arc::new(SystemFiles),
        artifact: packed.artifacts[0].reference,
        source: Some(source.to_owned()),
        proxies: Proxies::default(),
        trust: Trust::default(),
        dir: dir.join("download"),
        limits: Limits {
            answer: second,
            idle: second,
            pause: Duration::from_millis(5),
        },
    }
}

async fn fetch_all(job: &Fetch) -> Result<Artifact, DownloadError> {
    fetch(job.clone(), |_| ()).await
}

/// A release at a server, and a download of it.
struct Rig {
    bytes: Vec<u8>,
    seen: Seen,
    job: Fetch,
    _dirs: [TempDir; 2],
}

/// A server that answers so, given the release's artifact file.
async fn rig(answer: impl Fn(&[u8], &Asked) -> Answer + Send + Sync + 'static) -> Rig {
    let (source, packed, bytes) = release();
    let served = bytes.clone();
    let (url, seen) = serve(move |asked| answer(&served, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    Rig {
        job: job(&packed, &url, dir.path()),
        bytes,
        seen,
        _dirs: [source, dir],
    }
}

impl Rig {
    async fn fetch(&self) -> Result<Artifact, DownloadError> {
        fetch_all(&self.job).await
    }

    /// Where each request began.
    fn from(&self) -> Vec<usize> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|asked| asked.from).collect()
    }
}

/// Where the segments begin.
fn content(bytes: &[u8]) -> usize {
    let layout = hoist_protocol::bundle::Layout::read(bytes).unwrap();
    usize::try_from(layout.segments_offset).unwrap()
}

fn assert_installed(artifact: &Artifact) {
    let payload = artifact.payload_dir();
    assert_eq!(
        fs::metadata(payload.join("sub/app.bin")).unwrap().len(),
        CONTENT_BYTES as u64
    );
    assert_eq!(fs::metadata(payload.join("empty")).unwrap().len(), 0);
    let install = artifact.script_path(ScriptKind::Install).unwrap();
    assert!(install.ends_with("scripts/install"));
    assert_eq!(
        fs::metadata(&install).unwrap().permissions().mode() & 0o777,
        0o700
    );
    artifact.verify(&SystemFiles).unwrap();
}

#[tokio::test]
async fn the_start_is_asked_for_first_and_then_exactly_the_rest() {
    let (_source, packed, bytes) = release();
    let size = bytes.len();
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut had = Vec::new();
    let artifact = fetch(job(&packed, &url, dir.path()), |bytes| had.push(bytes)).await;
    assert_installed(&artifact.unwrap());
    assert_eq!(had.last(), Some(&(size as u64)));
    assert!(had.is_sorted());
    let ranges: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|r| (r.from, r.to))
        .collect();
    assert_eq!(ranges, [(0, START_BYTES), (START_BYTES, size)]);
}

#[tokio::test]
async fn a_long_start_is_asked_for_to_its_end_and_not_a_byte_further() {
    let names: Vec<String> = (0..120)
        .map(|n| format!("a-rather-long-name-{n}"))
        .collect();
    let payloads: Vec<_> = names
        .iter()
        .map(|n| (n.as_str(), b"x".as_slice()))
        .collect();
    let (_source, packed, bytes) = release_of(&payloads);
    let layout = hoist_protocol::bundle::Layout::read(&bytes).unwrap();
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    let started = fetch_start(job.clone()).await.unwrap();
    let manifest = &packed.artifacts[0].manifest;
    assert_eq!(started.writer().manifest(), Some(manifest));
    let last = seen.lock().unwrap().last().unwrap().to as u64;
    assert_eq!(last, layout.segments_offset);
    assert!(!job.dir.join("payload").exists());
    // It needs no request the next time.
    let before = seen.lock().unwrap().len();
    fetch_start(job).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), before);
}

#[tokio::test]
async fn a_small_artifact_comes_in_one_answer_and_is_written_only_when_it_may() {
    let (_source, packed, bytes) = release_of(&[("a", b"small")]);
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    let started = fetch_start(job.clone()).await.unwrap();
    assert!(!job.dir.join("payload").exists());
    let artifact = started.fetch_content(|_| ()).await.unwrap();
    artifact.verify(&SystemFiles).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_laid_in_the_download_folder_is_never_written_through() {
    // bad-inputs row 50
    let (_source, packed, bytes) = release();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    let (url, _) = serve(move |asked| ranged(&bytes, asked)).await;
    for (link, to) in [
        (".", outside.path()),
        ("payload", outside.path()),
        ("scripts", outside.path()),
        ("payload/sub", outside.path()),
        ("payload/sub/app.bin", victim.as_path()),
        ("scripts/install", victim.as_path()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let job = job(&packed, &url, dir.path());
        let link = match link {
            "." => job.dir.clone(),
            link => job.dir.join(link),
        };
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(to, link).unwrap();
        let error = fetch_all(&job).await.unwrap_err();
        assert_eq!(error.reason, Reason::StorageFailed, "{error}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
    for link in ["start", "start.new"] {
        let dir = tempfile::tempdir().unwrap();
        let job = job(&packed, &url, dir.path());
        fs::create_dir_all(&job.dir).unwrap();
        symlink(&victim, job.dir.join(link)).unwrap();
        assert_installed(&fetch_all(&job).await.unwrap());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}

#[tokio::test]
async fn a_file_swapped_after_the_download_is_noticed_before_it_is_used() {
    // bad-inputs row 55
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    let artifact = fetch_all(&job).await.unwrap();
    let install = artifact.script_path(ScriptKind::Install).unwrap();
    fs::write(&install, "#!/bin/sh\nevil\n").unwrap();
    assert_eq!(
        artifact.verify(&SystemFiles).unwrap_err().reason,
        Reason::HashMismatch
    );
    // The next look at it fetches the right one again.
    assert_installed(&fetch_all(&job).await.unwrap());
    fs::remove_file(&install).unwrap();
    symlink("/bin/true", &install).unwrap();
    assert!(artifact.verify(&SystemFiles).is_err());
}

#[tokio::test]
async fn a_disk_that_fails_at_any_write_uses_time_and_the_rest_is_fetched_later() {
    // bad-inputs row 58
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |asked| ranged(&bytes, asked)).await;
    for (kind, reason) in [
        (std::io::ErrorKind::StorageFull, Reason::NoSpace),
        (
            std::io::ErrorKind::ReadOnlyFilesystem,
            Reason::StorageFailed,
        ),
        (std::io::ErrorKind::Other, Reason::StorageFailed),
    ] {
        let mut operation = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let mut job = job(&packed, &url, dir.path());
            job.files = Faulty::new(u64::MAX, Some((operation, kind)));
            let Err(error) = fetch_all(&job).await else {
                break;
            };
            assert_eq!(
                (error.reason, error.retry),
                (reason, Retry::Later),
                "{error}"
            );
            job.files = Arc::new(SystemFiles);
            assert_installed(&fetch_all(&job).await.unwrap());
            operation += 1;
        }
        assert!(operation > 20, "only {operation} operations");
    }
}

#[tokio::test]
async fn without_a_source_only_what_is_on_disk_can_be_used() {
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, &url, dir.path());
    job.source = None;
    let error = fetch_all(&job).await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::DownloadFailed, Retry::Later)
    );
    job.source = Some(url);
    fetch_all(&job).await.unwrap();
    job.source = None;
    assert_installed(&fetch_all(&job).await.unwrap());
}
