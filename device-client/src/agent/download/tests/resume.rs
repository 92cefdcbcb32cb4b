//! Resume by proof: whatever is on disk, the content is right or fetched again.

use std::path::PathBuf;

use hoist_protocol::bundle::{Layout, artifact_start, index_hash, raw_index, segment_bytes};
use hoist_protocol::codec::encode;
use hoist_protocol::id::sha256;
use hoist_protocol::release::{ArtifactManifest, Payload, PayloadKind, Script};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// An artifact file with these contents in small segments; the last two are its scripts.
fn artifact(contents: &[Vec<u8>], segment_size: u32) -> (ArtifactRef, Vec<u8>) {
    let scripts_from = contents.len() - 2;
    let mut index = Vec::new();
    let mut payloads = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let entries = raw_index(content, segment_size);
        payloads.push(Payload {
            kind: match number < scripts_from {
                true => PayloadKind::File,
                false => PayloadKind::Script,
            },
            target: format!("dir-{}/{number}", number % 2),
            size: content.len() as u64,
            hash: sha256(content),
            segment_size,
            index_hash: index_hash(entries.iter().map(|entry| entry.hash)),
        });
        index.extend(entries);
    }
    let script = |(kind, payload): (ScriptKind, usize)| Script {
        kind,
        payload: u8::try_from(payload).unwrap(),
        timeout_s: 1,
        attempts: 1,
        idempotent: false,
    };
    let scripts = [
        (ScriptKind::Install, scripts_from),
        (ScriptKind::Rollback, scripts_from + 1),
    ];
    let manifest = ArtifactManifest {
        name: "app".parse().unwrap(),
        version: "1".into(),
        artifact_type: "files".into(),
        provides: Vec::new(),
        depends: Vec::new(),
        payloads,
        scripts: scripts.map(script).into(),
        reboot: false,
        disk_need: 0,
    };
    let mut bytes = artifact_start(&manifest, &index);
    bytes.extend(contents.iter().flatten());
    let reference = ArtifactRef {
        size: bytes.len() as u64,
        hash: sha256(&encode(&manifest)),
    };
    (reference, bytes)
}

/// Where a download that had `had` bytes goes on.
fn resumes_at(bytes: &[u8], had: usize) -> usize {
    let layout = Layout::read(bytes).unwrap();
    let mut at = usize::try_from(layout.segments_offset).unwrap();
    if had < at {
        return 0;
    }
    for payload in &layout.manifest.payloads {
        let mut segment = 0;
        while let bytes @ 1.. = segment_bytes(payload, segment) {
            let end = at + usize::try_from(bytes).unwrap();
            if end > had {
                return at;
            }
            (at, segment) = (end, segment + 1);
        }
    }
    at
}

#[derive(Debug, Clone)]
enum Damage {
    Nothing,
    Flip(Index, Index, u8),
    Cut(Index, Index),
    Longer(Index, Vec<u8>),
    Gone(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        Just(Damage::Nothing),
        (index(), index(), 1..=255_u8).prop_map(|(file, at, bits)| Damage::Flip(file, at, bits)),
        (index(), index()).prop_map(|(file, at)| Damage::Cut(file, at)),
        (index(), proptest::collection::vec(any::<u8>(), 1..50))
            .prop_map(|(file, more)| Damage::Longer(file, more)),
        index().prop_map(Damage::Gone),
    ]
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

impl Damage {
    fn apply(&self, dir: &Path) {
        let files = files_below(dir);
        let (Self::Flip(file, ..) | Self::Cut(file, _) | Self::Longer(file, _) | Self::Gone(file)) =
            self
        else {
            return;
        };
        if files.is_empty() {
            return;
        }
        let path = file.get(&files);
        let mut content = fs::read(path).unwrap();
        match self {
            Self::Flip(_, at, bits) if !content.is_empty() => {
                let at = at.index(content.len());
                content[at] ^= bits;
            }
            Self::Cut(_, at) if !content.is_empty() => content.truncate(at.index(content.len())),
            Self::Longer(_, more) => content.extend(more),
            _ => return fs::remove_file(path).unwrap(),
        }
        fs::write(path, content).unwrap();
    }
}

fn push(writer: &mut ArtifactWriter, bytes: &[u8], chunks: &[usize]) -> Result<(), DownloadError> {
    let mut rest = bytes;
    for bytes in chunks.iter().cycle() {
        let (chunk, after) = rest.split_at((*bytes).min(rest.len()));
        writer.push(chunk)?;
        rest = after;
        if rest.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_cut_and_any_damage_end_with_the_right_content(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 2..6),
        segment_size in 1_u32..120,
        cut in any::<Index>(),
        chunks in proptest::collection::vec(1_usize..200, 1..6),
        damage in damage(),
        keeps in any::<bool>(),
    ) {
        let (reference, bytes) = artifact(&contents, segment_size);
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("download");
        let open = || ArtifactWriter::open(Arc::new(SystemFiles), &dir, reference).unwrap();
        let had = cut.index(bytes.len() + 1);
        let mut writer = open();
        push(&mut writer, &bytes[..had], &chunks).unwrap();
        if keeps {
            writer.keep_part().unwrap();
        }
        damage.apply(&dir);

        let mut writer = open();
        let at = |writer: &ArtifactWriter| usize::try_from(writer.offset()).unwrap();
        let undamaged = match resumes_at(&bytes, had) {
            0 => 0,
            _ if keeps => had,
            at => at,
        };
        // A part that grew is found out when its segment is whole.
        let grew = keeps && matches!(damage, Damage::Longer(..));
        prop_assert!(grew || at(&writer) <= undamaged);
        if matches!(damage, Damage::Nothing) {
            prop_assert_eq!(at(&writer), undamaged);
        }
        let rest = at(&writer);
        if push(&mut writer, &bytes[rest..], &chunks).is_err() {
            // What was kept of a segment was damaged: all of it is sent again.
            prop_assert!(keeps && !matches!(damage, Damage::Nothing));
            let rest = at(&writer);
            push(&mut writer, &bytes[rest..], &chunks).unwrap();
        }
        let finished = match writer.finish() {
            Ok(finished) => finished,
            Err(error) => {
                // Only what only the whole file's hash shows: it is fetched again.
                prop_assert_eq!(error.reason, Reason::HashMismatch);
                prop_assert!(matches!(damage, Damage::Longer(..)));
                let mut writer = open();
                writer.reset().unwrap();
                push(&mut writer, &bytes, &chunks).unwrap();
                writer.finish().unwrap()
            }
        };
        for (number, content) in contents.iter().enumerate() {
            let path = artifact::payload_path(&finished.dir, &finished.manifest, number);
            prop_assert_eq!(&fs::read(path).unwrap(), content);
        }
    }
}

#[tokio::test]
async fn a_damaged_part_on_disk_is_not_counted_as_had() {
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |asked| match asked.number {
        0 | 1 => ranged(&bytes[..bytes.len() - 1], asked),
        2 => status(503),
        _ => ranged(&bytes, asked),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    assert!(fetch_all(&job).await.is_err());
    let path = job.dir.join("payload/sub/app.bin");
    let mut content = fs::read(&path).unwrap();
    content[300_000] ^= 1;
    fs::write(&path, content).unwrap();
    assert_installed(&fetch_all(&job).await.unwrap());
    let from = seen.lock().unwrap()[3].from;
    assert!((SEGMENT..2 * SEGMENT).contains(&from), "{from}");
}

#[tokio::test]
async fn a_file_that_grew_behind_its_last_segment_is_fetched_again() {
    let (_source, packed, bytes) = release();
    let (url, seen) = serve(move |asked| ranged(&bytes, asked)).await;
    let dir = tempfile::tempdir().unwrap();
    let job = job(&packed, &url, dir.path());
    fetch_all(&job).await.unwrap();
    let path = job.dir.join("payload/sub/app.bin");
    let mut content = fs::read(&path).unwrap();
    content.push(0);
    fs::write(&path, content).unwrap();
    let before = seen.lock().unwrap().len();
    assert_installed(&fetch_all(&job).await.unwrap());
    assert_eq!(seen.lock().unwrap()[before].from, 0);
}
