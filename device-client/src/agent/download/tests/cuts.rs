//! Links that break in the middle of a segment: what came is kept, and it is never believed.

use hoist_protocol::status::RetryCause;

use super::*;
use crate::agent::download::test_server::serve_cut;

/// Of a release with one large payload.
const LARGE_BYTES: usize = 2 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(10);

fn large() -> (TempDir, PackedRelease, Vec<u8>) {
    let content: Vec<u8> = (0..LARGE_BYTES).map(|n| (n / 13 % 256) as u8).collect();
    release_of(&[("app.bin", &content)])
}

/// Where the second segment begins.
fn second_segment(bytes: &[u8]) -> usize {
    content(bytes) + SEGMENT
}

#[tokio::test]
async fn a_link_that_breaks_every_100_and_every_20_kb_moves_nothing_twice() {
    // bad-inputs row 83
    let (_source, packed, bytes) = large();
    for cut in [100_000, 20_000] {
        let (url, cuts) = serve_cut(bytes.clone(), cut).await;
        let dir = tempfile::tempdir().unwrap();
        let mut job = job(&packed, &url, dir.path());
        job.limits.pause = PAUSE;
        fetch_all(&job).await.unwrap();
        assert!(!job.dir.join("part").exists());
        let cuts = cuts.lock().unwrap();
        let moved: usize = cuts.iter().map(|cut| cut.sent).sum();
        assert!(moved <= bytes.len() + START_BYTES, "{moved} bytes moved");
        assert!(moved * 10 <= LARGE_BYTES * 12);
        let requests = bytes.len().div_ceil(cut) + 1;
        assert!(cuts.len() <= requests, "{} requests", cuts.len());
        // The first two requests are for the start and the content; each further one waits.
        for pair in cuts[1..].windows(2) {
            assert!(pair[1].at >= pair[0].at + PAUSE);
            assert_eq!(pair[1].from, pair[0].from + pair[0].sent);
        }
    }
}

/// Fetches until it is there, as the machine does; returns how often it failed.
async fn fetch_at_last(job: &Fetch) -> usize {
    for failed in 0.. {
        match fetch_all(job).await {
            Ok(artifact) => {
                artifact.verify(&SystemFiles).unwrap();
                return failed;
            }
            Err(error) => assert_eq!(error.retry, Retry::Later, "{error}"),
        }
    }
    unreachable!("it comes at last");
}

/// A part of a range of `most` bytes.
fn short(bytes: &[u8], asked: &Asked, most: usize) -> Answer {
    let asked = Asked {
        to: asked.to.min(asked.from + most),
        ..asked.clone()
    };
    ranged(bytes, &asked)
}

#[tokio::test]
async fn what_came_of_a_segment_is_kept_on_disk_for_the_next_start() {
    let rig = rig(|bytes, asked| match asked.number % 2 {
        0 => short(bytes, asked, 50_000),
        _ => status(503),
    })
    .await;
    assert!(fetch_at_last(&rig.job).await >= 10);
    // Every other request was refused: the next one asks for the same.
    let asked: Vec<usize> = rig.from().into_iter().skip(2).step_by(2).collect();
    let expected = (START_BYTES..rig.bytes.len()).step_by(50_000);
    let expected: Vec<usize> = expected.collect();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_connection_that_brings_little_is_given_up_and_its_bytes_are_kept() {
    // bad-inputs row 83
    let (_source, packed, bytes) = release();
    let (url, cuts) = serve_cut(bytes, 1_000).await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    let (first, second) = (fetch_all(&job).await, fetch_all(&job).await);
    assert!(first.unwrap_err().gained, "the start");
    let error = second.unwrap_err();
    assert_eq!((error.cause, error.gained), (RetryCause::Cut, false));
    let from: Vec<_> = cuts.lock().unwrap().iter().map(|cut| cut.from).collect();
    assert_eq!(from, [0, 1_000, 2_000]);
}

#[tokio::test]
async fn new_proven_bytes_are_told_with_the_failure_and_others_are_not() {
    let rig = rig(|bytes, asked| match asked.number {
        0 => ranged(bytes, asked),
        1 => ranged(&bytes[..second_segment(bytes) + 100], asked),
        3 => ranged(&bytes[..second_segment(bytes) + 90_000], asked),
        _ => status(503),
    })
    .await;
    assert!(rig.fetch().await.unwrap_err().gained, "a segment");
    assert!(!rig.fetch().await.unwrap_err().gained, "a part of one");
    assert!(!rig.fetch().await.unwrap_err().gained, "nothing");
    let second = second_segment(&rig.bytes);
    let (after, later) = (second + 100, second + 90_000);
    assert_eq!(rig.from(), [0, START_BYTES, after, after, later, later]);
}

/// Cuts in the second segment, lets a test change what was kept of it, and goes on.
/// Returns where that segment begins, and what was asked for after the change.
async fn with_part(change: impl Fn(&Path)) -> (usize, Vec<usize>) {
    let rig = rig(|bytes, asked| match asked.number {
        1 => ranged(&bytes[..second_segment(bytes) + 90_000], asked),
        2 => status(503),
        _ => ranged(bytes, asked),
    })
    .await;
    let part = rig.job.dir.join("part");
    rig.fetch().await.unwrap_err();
    change(&part);
    assert_installed(&rig.fetch().await.unwrap());
    assert!(!part.exists());
    (second_segment(&rig.bytes), rig.from().split_off(3))
}

#[tokio::test]
async fn a_kept_part_that_is_not_what_was_sent_is_thrown_away_whole() {
    // bad-inputs row 59
    let flip = |at: usize| {
        move |path: &Path| {
            let mut part = fs::read(path).unwrap();
            part[at] ^= 1;
            fs::write(path, part).unwrap();
        }
    };
    let (second, from) = with_part(|_| ()).await;
    assert_eq!(from, [second + 90_000], "as it was");
    let (second, from) = with_part(flip(50_000)).await;
    assert_eq!(from, [second + 90_000, second], "wrong bytes");
    let (second, from) = with_part(flip(0)).await;
    assert_eq!(from, [second], "of another segment");
    let hollow = |path: &Path| fs::write(path, vec![0; 90_008]).unwrap();
    let (second, from) = with_part(hollow).await;
    assert_eq!(from, [second], "not synced before the power went");
    let cut = |path: &Path| fs::write(path, &fs::read(path).unwrap()[..40_008]).unwrap();
    let (second, from) = with_part(cut).await;
    assert_eq!(from, [second + 40_000], "torn");
    let long = |path: &Path| fs::write(path, vec![1; 400_000]).unwrap();
    let (second, from) = with_part(long).await;
    assert_eq!(from, [second], "longer than a segment");
    let empty = |path: &Path| fs::write(path, b"").unwrap();
    let (second, from) = with_part(empty).await;
    assert_eq!(from, [second], "without a byte");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_part_is_neither_read_nor_written_through() {
    // bad-inputs row 50
    let rig = rig(|bytes, asked| match asked.number {
        1 | 3 => ranged(&bytes[..second_segment(bytes) + 100 * asked.number], asked),
        2 => status(503),
        _ => ranged(bytes, asked),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    for _ in 0..2 {
        rig.fetch().await.unwrap_err();
        let part = rig.job.dir.join("part");
        assert!(!part.is_symlink());
        fs::remove_file(&part).unwrap();
        symlink(&victim, part).unwrap();
    }
    assert_installed(&rig.fetch().await.unwrap());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test]
async fn a_file_that_changes_with_every_connection_is_asked_for_twice_and_later() {
    // bad-inputs rows 49 and 83
    let rig = rig(|bytes, asked| {
        let second = second_segment(bytes);
        match (asked.from < second, asked.number % 2) {
            (true, _) => short(bytes, asked, second + 50_000 - asked.from),
            (false, 0) => short(bytes, asked, 50_000),
            (false, _) => short(&vec![9; bytes.len()], asked, 50_000),
        }
    })
    .await;
    let error = rig.fetch().await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (Reason::HashMismatch, Retry::Later)
    );
    assert!(error.gained);
    // Twice a segment in six parts, and what is proven stays.
    let asked = rig.from().len();
    assert!((12..=14).contains(&asked), "{asked}");
    let Fetch {
        files,
        dir,
        artifact,
        ..
    } = &rig.job;
    let writer = ArtifactWriter::open(files.clone(), dir, *artifact).unwrap();
    assert_eq!(writer.offset(), second_segment(&rig.bytes) as u64);
}

#[tokio::test]
async fn a_portals_page_in_between_does_not_get_into_the_segment() {
    // bad-inputs row 48
    let rig = rig(|bytes, asked| match asked.number {
        1 => ranged(&bytes[..second_segment(bytes) + 90_000], asked),
        2 => whole(&vec![b'x'; second_segment(bytes) + 100_000]),
        _ => ranged(bytes, asked),
    })
    .await;
    let error = rig.fetch().await.unwrap_err();
    assert_eq!(error.retry, Retry::Later, "{error}");
    assert_installed(&rig.fetch().await.unwrap());
    let kept = second_segment(&rig.bytes) + 90_000;
    assert_eq!(rig.from()[2..], [kept; 2]);
}
