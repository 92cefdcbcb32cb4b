//! Servers of all kinds.

use hoist_protocol::status::RetryCause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_short_body_is_resumed_where_it_ended() {
    // bad-inputs row 46
    let rig = rig(|bytes, asked| match asked.number {
        0 | 1 => ranged(&bytes[..bytes.len() / 2], asked),
        2 => status(416),
        _ => ranged(bytes, asked),
    })
    .await;
    let error = rig.fetch().await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::LengthMismatch, Retry::Later)
    );
    assert_installed(&rig.fetch().await.unwrap());
    let half = rig.bytes.len() / 2;
    assert_eq!(rig.from()[2..], [half, half]);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_cut_at_the_signed_length() {
    // bad-inputs row 46
    let (_source, packed, mut bytes) = release();
    bytes.extend_from_slice(&[0xee; 100_000]);
    let long = bytes.clone();
    for (url, _) in [
        serve(move |_| whole(&bytes)).await,
        serve(move |asked| ranged(&long, asked)).await,
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert_installed(&fetch_all(&job(&packed, &url, dir.path())).await.unwrap());
    }
}

#[tokio::test]
async fn a_server_without_range_is_read_from_0_again_and_what_is_proven_is_skipped() {
    // bad-inputs row 49
    let rig = rig(|bytes, asked| match asked.number {
        0 | 1 => whole(&bytes[..bytes.len() / 2]),
        _ => whole(bytes),
    })
    .await;
    assert_installed(&rig.fetch().await.unwrap());
    assert_eq!(rig.from().len(), 3);
}

#[tokio::test]
async fn a_file_that_changed_while_resuming_costs_the_unfinished_segment() {
    // bad-inputs row 49
    let rig = rig(|bytes, asked| match asked.number {
        1 => ranged(&bytes[..bytes.len() / 2], asked),
        2 => ranged(&vec![9; bytes.len()], asked),
        _ => ranged(bytes, asked),
    })
    .await;
    assert_installed(&rig.fetch().await.unwrap());
    let half = rig.bytes.len() / 2;
    assert_eq!(rig.from()[2..], [half, content(&rig.bytes) + SEGMENT]);
}

#[tokio::test]
async fn one_wrong_byte_is_refused_and_nothing_is_left() {
    // bad-inputs row 47
    let (_source, packed, bytes) = release();
    let layout = hoist_protocol::bundle::Layout::read(&bytes).unwrap();
    let index = usize::try_from(layout.index_offset).unwrap();
    let content = content(&bytes);
    let (middle, last) = (bytes.len() / 2, bytes.len() - 1);
    for position in [0, 3, 10, index, index + 4, index + 5, content, middle, last] {
        let mut tampered = bytes.clone();
        tampered[position] ^= 1;
        let (url, seen) = serve(move |asked| ranged(&tampered, asked)).await;
        let dir = tempfile::tempdir().unwrap();
        let job = job(&packed, &url, dir.path());
        let error = fetch_all(&job).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::HashMismatch, Retry::Useless),
            "{position}: {error}"
        );
        let from: Vec<_> = seen.lock().unwrap().iter().map(|r| r.from).collect();
        let last = from[from.len() - 1];
        assert!(last <= position, "fetched once more: {position} {from:?}");
        assert!(from.len() <= 3, "{position}: {from:?}");
        assert_eq!(fs::read_dir(&job.dir).unwrap().count(), 0, "{position}");
    }
}

#[tokio::test]
async fn a_wrong_byte_in_each_of_two_segments_is_refused_in_neither() {
    let (_source, packed, bytes) = release();
    let size = bytes.len();
    // The start comes first; then each connection but the last spoils another segment.
    let (url, seen) = serve(move |asked| {
        let mut sent = bytes.clone();
        match asked.number {
            1 => sent[START_BYTES] ^= 1,
            2 => sent[size - 100] ^= 1,
            _ => {}
        }
        ranged(&sent, asked)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    assert_installed(&fetch_all(&job).await.unwrap());
    assert_eq!(seen.lock().unwrap().len(), 4);
}

fn redirect(to: &str) -> Answer {
    let mut answer = status(302);
    answer.headers_mut().insert("location", to.parse().unwrap());
    answer
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed() {
    let rig = rig(|bytes, asked| match asked.path.as_str() {
        "/elsewhere" => ranged(bytes, asked),
        _ => redirect("/elsewhere"),
    })
    .await;
    assert_installed(&rig.fetch().await.unwrap());
}

#[tokio::test]
async fn a_redirect_loop_another_host_and_https_without_a_ca_are_refused() {
    // bad-inputs row 48
    let (_source, packed, _) = release();
    let dir = tempfile::tempdir().unwrap();
    for (to, requests) in [
        ("/loop", 6),
        ("http://example.org/x", 1),
        ("//example.org/x", 1),
        ("https://127.0.0.1/x", 1),
        ("ftp://127.0.0.1/x", 1),
        ("", 1),
    ] {
        let (url, seen) = serve(move |_| redirect(to)).await;
        let error = fetch_all(&job(&packed, &url, dir.path()))
            .await
            .unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (Reason::DownloadFailed, Retry::Later)
        );
        assert_eq!(seen.lock().unwrap().len(), requests, "{to}");
    }
    let job = job(&packed, "https://example.org", dir.path());
    let error = fetch_all(&job).await.unwrap_err();
    assert!(error.detail.contains("https"), "{error}");
    assert_eq!(error.retry, Retry::Useless);
}

#[tokio::test]
async fn a_portal_that_answers_with_its_own_page_uses_time_and_not_the_deployment() {
    // bad-inputs rows 48 and 68
    let rig = rig(|bytes, asked| match asked.number {
        0 => whole(b"<html>please log in</html>"),
        _ => ranged(bytes, asked),
    })
    .await;
    let error = rig.fetch().await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::DownloadFailed, Retry::Later)
    );
    assert_installed(&rig.fetch().await.unwrap());
}

/// The answer of a server that is made of the file it is asked for.
type Lie = fn(&[u8]) -> Answer;

/// The whole file, called a part that begins at `from`.
fn wrong_range(bytes: &[u8], from: usize) -> Answer {
    let mut answer = whole(bytes);
    *answer.status_mut() = hyper::StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {from}-9/10").parse().unwrap();
    answer.headers_mut().insert("content-range", range);
    answer
}

#[tokio::test]
async fn answers_that_are_no_artifact_use_time_and_keep_what_is_proven() {
    // bad-inputs rows 46 and 49
    let (_source, packed, bytes) = release();
    let bytes = Arc::new(bytes);
    let lies: [(Lie, Reason); 6] = [
        (|_| status(404), Reason::DownloadFailed),
        (|_| status(500), Reason::DownloadFailed),
        (|_| status(503), Reason::DownloadFailed),
        (|_| status(416), Reason::LengthMismatch),
        (|_| status(206), Reason::DownloadFailed),
        (|_| whole(b""), Reason::LengthMismatch),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut proven = 0;
    for (lie, reason) in lies {
        let content = bytes.clone();
        // The first segment comes, then the lie.
        let (url, _) = serve(move |asked| match asked.from < SEGMENT {
            true => ranged(&content[..SEGMENT + 2 * START_BYTES], asked),
            false => lie(&content),
        })
        .await;
        let job = job(&packed, &url, dir.path());
        let _started = fetch_all(&job).await;
        let error = fetch_all(&job).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (reason, Retry::Later),
            "{error}"
        );
        let writer = ArtifactWriter::open(job.files, &job.dir, job.artifact).unwrap();
        assert!(writer.offset() > SEGMENT as u64 && writer.offset() >= proven);
        proven = writer.offset();
    }
    let content = bytes.clone();
    let beyond = serve(move |_| wrong_range(&content, 600_000)).await.0;
    let error = fetch_all(&job(&packed, &beyond, dir.path()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::DownloadFailed, Retry::Later)
    );
    // A range that begins earlier is as good: what is proven is skipped.
    let earlier = serve(move |_| wrong_range(&bytes, 0)).await.0;
    assert_installed(
        &fetch_all(&job(&packed, &earlier, dir.path()))
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn a_server_that_goes_silent_is_given_up_and_what_is_proven_stays() {
    let (_source, packed, bytes) = release();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = bytes.len();
    tokio::spawn(async move {
        let mut streams = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // The reader of the start goes away before.
            let _gone = stream.write_all(&bytes[..400_000]).await;
            streams.push(stream);
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, &url, dir.path());
    job.limits.idle = Duration::from_millis(300);
    let error = fetch_all(&job).await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::DownloadFailed, Retry::Later)
    );
    let writer = ArtifactWriter::open(job.files.clone(), &job.dir, job.artifact).unwrap();
    assert!(writer.offset() > SEGMENT as u64);
}

/// The error of a fetch from a server that answers so.
async fn failure(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> DownloadError {
    rig(move |_, asked| answer(asked))
        .await
        .fetch()
        .await
        .unwrap_err()
}

fn with_header(status_code: u16, name: &'static str, value: &str) -> Answer {
    let mut answer = status(status_code);
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

#[tokio::test]
async fn a_failure_says_in_one_sentence_what_which_host_and_which_artifact() {
    let error = failure(|_| status(403)).await;
    assert_eq!(error.cause, RetryCause::Http(403));
    let (_source, packed, _) = release();
    let id = packed.artifacts[0].id().to_string();
    let said = error.to_string();
    let end = format!("for artifact {}…", &id[..8]);
    assert!(
        said.starts_with("HTTP 403 from 127.0.0.1:") && said.ends_with(&end),
        "{said}"
    );

    // The range that was asked for is not the signed size.
    let error = failure(|_| status(416)).await;
    let signed = packed.artifacts[0].reference.size;
    let said = error.to_string();
    let end_of_file = format!("ends after 0 of {signed} signed bytes");
    assert!(said.contains(&end_of_file), "{said}");

    let error = failure(|_| redirect("http://other.example/x")).await;
    assert_eq!(error.cause, RetryCause::Http(302));
    let said = error.to_string();
    assert!(
        said.contains("to other.example refused: another host"),
        "{said}"
    );

    let error = failure(|_| with_header(200, "content-encoding", "gzip")).await;
    assert!(
        error.to_string().contains("Content-Encoding gzip"),
        "{error}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &format!("http://{gone}"), dir.path());
    let error = fetch_all(&job).await.unwrap_err();
    assert_eq!(error.cause, RetryCause::Unreachable);
    let said = format!("connection refused by {gone} {end}");
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn a_busy_server_says_when_it_wants_to_be_asked_again() {
    for status in [429, 503] {
        let error = failure(move |_| with_header(status, "retry-after", "3")).await;
        assert_eq!(error.cause, RetryCause::Http(status));
        assert_eq!(error.after, Some(Duration::from_secs(3)));
    }
    let error = failure(|_| with_header(404, "retry-after", "3")).await;
    assert_eq!(error.after, None);
}

#[tokio::test]
async fn no_password_of_any_address_is_told() {
    let error = failure(|_| redirect("http://user:hunter2@127.0.0.1/x")).await;
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let (_source, packed, _) = release();
    let dir = tempfile::tempdir().unwrap();
    for source in [
        "http://user:hunter2@files",
        "https://hunter2@files",
        "hunter2",
    ] {
        let error = fetch_all(&job(&packed, source, dir.path()))
            .await
            .unwrap_err();
        assert_eq!(error.retry, Retry::Useless);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_relative_redirect_is_followed() {
    let mut rig = rig(|bytes, asked| match asked.path.as_str() {
        "/base/elsewhere/x" => ranged(bytes, asked),
        _ => redirect("./elsewhere/x"),
    })
    .await;
    rig.job.source = rig.job.source.map(|url| url + "/base/");
    assert_installed(&rig.fetch().await.unwrap());
}

#[tokio::test]
async fn artifacts_come_through_a_proxy_that_is_told_their_host() {
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(&packed, "http://files.invalid/artifacts", dir.path());
    let variable = |name: &str| (name == "http_proxy").then(|| url.clone());
    job.proxies = Proxies::from_variables(variable).unwrap();
    assert_installed(&fetch_all(&job).await.unwrap());
    let path = format!("/artifacts/{}", packed.artifacts[0].id());
    assert!(seen.lock().unwrap().iter().all(|asked| asked.path == path));
}
