//! Downloads from a small server that lies in every way it can.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hoist_protocol::envelope::PrivateKey;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::agent::bundle::{PackedRelease, read_release_dir};
use crate::agent::files::SystemFiles;

const CONTENT_BYTES: usize = 700_000;

/// A release with one payload of three segments, an empty one and two scripts.
fn release() -> (TempDir, PackedRelease, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["payload/sub", "scripts"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let content: Vec<u8> = (0..CONTENT_BYTES).map(|n| (n / 251 % 256) as u8).collect();
    fs::write(dir.path().join("payload/sub/app.bin"), content).unwrap();
    fs::write(dir.path().join("payload/empty"), b"").unwrap();
    for name in ["install", "rollback"] {
        let path = dir.path().join("scripts").join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let text =
        "name = \"app\"\nversion = \"1\"\npayload = [\"payload/sub/app.bin\", \"payload/empty\"]\n";
    fs::write(dir.path().join("artifact.toml"), text).unwrap();
    let packed = read_release_dir(dir.path()).unwrap();
    assert!(!packed.sign(&PrivateKey::from_seed(&[1; 32])).is_empty());
    let bytes = packed.artifacts[0].to_bytes().unwrap();
    (dir, packed, bytes)
}

/// What the server saw: `Range` offsets in order.
type Seen = Arc<Mutex<Vec<usize>>>;

/// Answers each request by `answer(number of the request, path, range offset)`.
async fn serve(
    answer: impl Fn(usize, &str, usize) -> Response<Full<Bytes>> + Send + Sync + 'static,
) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (answer, seen_by_server) = (Arc::new(answer), seen.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, seen) = (answer.clone(), seen_by_server.clone());
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let range = request
                    .headers()
                    .get("range")
                    .map(|range| range.to_str().unwrap());
                let offset = range.map_or(0, |r| r["bytes=".len()..r.len() - 1].parse().unwrap());
                let mut seen = seen.lock().unwrap();
                seen.push(offset);
                let response = answer(seen.len() - 1, request.uri().path(), offset);
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, seen)
}

fn whole(bytes: &[u8]) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::copy_from_slice(bytes)))
}

fn partial(bytes: &[u8], offset: usize) -> Response<Full<Bytes>> {
    Response::builder()
        .status(206)
        .header(
            "content-range",
            format!("bytes {offset}-{}/{}", bytes.len() - 1, bytes.len()),
        )
        .body(Full::new(Bytes::copy_from_slice(&bytes[offset..])))
        .unwrap()
}

fn job(packed: &PackedRelease, source: &str, dir: &Path) -> Fetch {
    let second = Duration::from_secs(5);
    Fetch {
        files: Arc::new(SystemFiles),
        artifact: packed.artifacts[0].reference,
        source: source.to_owned(),
        dir: dir.join("download"),
        limits: Limits {
            answer: second,
            idle: second,
        },
    }
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
async fn what_was_packed_is_fetched_with_progress_up_to_the_end() {
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |_, _, _| whole(&bytes)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut percents = Vec::new();
    let artifact = fetch(&job(&packed, &url, dir.path()), |p| percents.push(p))
        .await
        .unwrap();
    assert_installed(&artifact);
    assert_eq!(percents.last(), Some(&100));
    assert!(percents.is_sorted());
}

#[tokio::test]
async fn a_short_body_is_resumed_from_the_first_segment_not_proven() {
    // bad-inputs row 46
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |number, _, offset| match number {
        0 => whole(&bytes[..bytes.len() / 2]),
        _ => partial(&bytes, offset),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    let error = fetch(&job, |_| ()).await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::LengthMismatch, Retry::Later)
    );
    assert_installed(&fetch(&job, |_| ()).await.unwrap());
    let seen = seen.lock().unwrap();
    assert!(seen[1] > 256 * 1024, "{seen:?}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_cut_at_the_signed_length() {
    // bad-inputs row 46
    let (_source, packed, mut bytes) = release();
    bytes.extend_from_slice(&[0xee; 100_000]);
    let (url, _) = serve(move |_, _, _| whole(&bytes)).await;
    let dir = tempfile::tempdir().unwrap();
    assert_installed(
        &fetch(&job(&packed, &url, dir.path()), |_| ())
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn a_server_without_range_is_read_from_0_again() {
    // bad-inputs row 49
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |number, _, _| match number {
        0 => whole(&bytes[..bytes.len() / 2]),
        _ => whole(&bytes),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    assert!(fetch(&job, |_| ()).await.is_err());
    assert_installed(&fetch(&job, |_| ()).await.unwrap());
}

#[tokio::test]
async fn a_file_that_changed_while_resuming_is_fetched_from_0() {
    // bad-inputs row 49
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |number, _, offset| match number {
        0 => whole(&bytes[..bytes.len() / 2]),
        1 => partial(&vec![9; bytes.len()], offset),
        _ => whole(&bytes),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    assert!(fetch(&job, |_| ()).await.is_err());
    assert_installed(&fetch(&job, |_| ()).await.unwrap());
    assert_eq!(seen.lock().unwrap()[2], 0);
}

#[tokio::test]
async fn one_wrong_byte_is_refused_and_nothing_is_left() {
    // bad-inputs row 47
    let (_source, packed, bytes) = release();
    for position in [10, bytes.len() / 2, bytes.len() - 1] {
        let mut tampered = bytes.clone();
        tampered[position] ^= 1;
        let (url, seen) = serve(move |_, _, _| whole(&tampered)).await;
        let dir = tempfile::tempdir().unwrap();
        let job = job(&packed, &url, dir.path());
        let error = fetch(&job, |_| ()).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::HashMismatch, Retry::Useless),
            "{position}"
        );
        assert_eq!(seen.lock().unwrap().len(), 2, "fetched once more");
        assert_eq!(fs::read_dir(&job.dir).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_damaged_part_on_disk_is_not_counted_as_had() {
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |number, _, offset| match number {
        0 => whole(&bytes[..bytes.len() - 1]),
        _ => partial(&bytes, offset),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    assert!(fetch(&job, |_| ()).await.is_err());
    let path = job.dir.join("payload/sub/app.bin");
    let mut content = fs::read(&path).unwrap();
    content[300_000] ^= 1;
    fs::write(&path, content).unwrap();
    assert_installed(&fetch(&job, |_| ()).await.unwrap());
    assert!(seen.lock().unwrap()[1] < 600_000);
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(302)
        .header("location", to)
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed() {
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |_, path, _| match path {
        "/elsewhere" => whole(&bytes),
        _ => redirect("/elsewhere"),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    assert_installed(
        &fetch(&job(&packed, &url, dir.path()), |_| ())
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn a_redirect_loop_another_host_and_https_are_refused() {
    // bad-inputs row 48
    let (_source, packed, _) = release();
    let dir = tempfile::tempdir().unwrap();
    for (to, requests) in [
        ("/loop", 6),
        ("http://example.org/x", 1),
        ("https://example.org/x", 1),
    ] {
        let (url, seen) = serve(move |_, _, _| redirect(to)).await;
        let error = fetch(&job(&packed, &url, dir.path()), |_| ())
            .await
            .unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::DownloadFailed, Retry::Later)
        );
        assert_eq!(seen.lock().unwrap().len(), requests, "{to}");
    }
    let error = fetch(&job(&packed, "https://example.org", dir.path()), |_| ())
        .await
        .unwrap_err();
    assert!(error.detail.contains("https"), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_silent_is_given_up_and_what_is_proven_stays() {
    let (_source, packed, bytes) = release();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = bytes.len();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _read = stream.read(&mut request).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&bytes[..400_000]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, &url, dir.path());
    job.limits.idle = Duration::from_millis(300);
    let error = fetch(&job, |_| ()).await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::DownloadFailed, Retry::Later)
    );
    let writer = ArtifactWriter::open(job.files.clone(), &job.dir, job.artifact).unwrap();
    assert!(writer.offset() > 256 * 1024);
}

#[tokio::test]
async fn a_link_laid_in_the_download_folder_is_never_written_through() {
    // bad-inputs row 50
    let (_source, packed, bytes) = release();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    for (link, to) in [("payload", outside.path()), ("scripts", outside.path())] {
        let dir = tempfile::tempdir().unwrap();
        let bytes = bytes.clone();
        let (url, _) = serve(move |_, _, _| whole(&bytes)).await;
        let job = job(&packed, &url, dir.path());
        fs::create_dir_all(&job.dir).unwrap();
        symlink(to, job.dir.join(link)).unwrap();
        let error = fetch(&job, |_| ()).await.unwrap_err();
        assert_eq!(error.reason, Reason::StorageFailed);
    }
    let dir = tempfile::tempdir().unwrap();
    let (url, _) = serve(move |_, _, _| whole(&bytes)).await;
    let job = job(&packed, &url, dir.path());
    fs::create_dir_all(job.dir.join("payload/sub")).unwrap();
    symlink(&victim, job.dir.join("payload/sub/app.bin")).unwrap();
    assert!(fetch(&job, |_| ()).await.is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_swapped_after_the_download_is_noticed_before_it_is_used() {
    // bad-inputs row 55
    let (_source, packed, bytes) = release();
    let (url, _) = serve(move |_, _, _| whole(&bytes)).await;
    let dir = tempfile::tempdir().unwrap();
    let artifact = fetch(&job(&packed, &url, dir.path()), |_| ())
        .await
        .unwrap();
    let install = artifact.script_path(ScriptKind::Install).unwrap();
    fs::write(&install, "#!/bin/sh\nevil\n").unwrap();
    assert_eq!(
        artifact.verify(&SystemFiles).unwrap_err().reason,
        Reason::HashMismatch
    );
    fs::remove_file(&install).unwrap();
    symlink("/bin/true", &install).unwrap();
    assert!(artifact.verify(&SystemFiles).is_err());
}

#[tokio::test]
async fn a_signed_manifest_with_a_path_outside_is_refused_before_anything_is_written() {
    // bad-inputs row 50
    let (_source, packed, _) = release();
    for target in ["../../escaped", "/tmp/escaped", "c:/escaped"] {
        let mut manifest = packed.artifacts[0].manifest.clone();
        manifest.payloads[0].target = target.to_owned();
        let bytes = hoist_protocol::bundle::artifact_start(&manifest, &[]);
        let dir = tempfile::tempdir().unwrap();
        let body = bytes.clone();
        let (url, _) = serve(move |_, _, _| whole(&body)).await;
        let mut job = job(&packed, &url, dir.path());
        job.artifact.hash = hoist_protocol::id::sha256(&bytes[4..]);
        let error = fetch(&job, |_| ()).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::BadArchive, Retry::Useless)
        );
        assert_eq!(fs::read_dir(&job.dir).unwrap().count(), 0);
    }
}
