//! Real releases in memory: signed by nobody, because what is fetched is proven by hash.

use hoist_protocol::bundle::{artifact_start, index_hash, raw_index};
use hoist_protocol::codec::encode;
use hoist_protocol::id::{ReleaseId, sha256};
use hoist_protocol::release::{
    ArtifactManifest, ArtifactRef, Payload, PayloadKind, ReleaseManifest, Script,
};
use hoist_protocol::status::ScriptKind;

/// Small, so that small payloads have several.
const SEGMENT_BYTES: u32 = 64;
/// Two whole segments and a part of one.
const PAYLOAD_BYTES: usize = 150;

/// The properties of an artifact.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u8,
    /// Its scripts beside `install` and `rollback`.
    pub scripts: &'static [ScriptKind],
    /// True if a cut-off script may simply be repeated.
    pub idempotent: bool,
    /// Runs of a script in one attempt.
    pub runs: u8,
    /// The need for a reboot, and the time from which the installed version is used.
    pub reboot: Reboot,
    /// The name that must be installed before.
    pub depends: Option<&'static str>,
}

/// The relation of an artifact to reboots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// Nothing.
    None,
    /// It is used from the next boot on, and asks for one.
    Switches,
    /// It is used at once, and asks for a boot.
    Restarts,
}

/// A release with the content of its artifacts.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its manifest.
    pub manifest: ReleaseManifest,
    /// The artifacts that it installs, in order.
    pub parts: Vec<Part>,
    /// Its artifacts, in order.
    pub artifacts: Vec<ArtifactFile>,
}

/// An artifact as a server has it.
#[derive(Debug, Clone)]
pub struct ArtifactFile {
    /// As the release names it.
    pub reference: ArtifactRef,
    /// Its manifest.
    pub manifest: ArtifactManifest,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Package {
    /// Packs a release.
    pub fn new(counter: u64, parts: &[Part]) -> Self {
        let artifacts: Vec<_> = parts.iter().map(ArtifactFile::new).collect();
        let references = artifacts.iter().map(|artifact| artifact.reference);
        let manifest = ReleaseManifest {
            name: "release".parse().expect("a valid name"),
            version: format!("{counter}.0"),
            counter,
            floor: 0,
            device_types: Vec::new(),
            attributes: Vec::new(),
            artifacts: references.collect(),
        };
        Self {
            manifest,
            parts: parts.to_vec(),
            artifacts,
        }
    }

    /// Its id.
    pub fn id(&self) -> ReleaseId {
        self.manifest.id()
    }
}

impl ArtifactFile {
    fn new(part: &Part) -> Self {
        let wanted = [ScriptKind::Install, ScriptKind::Rollback];
        let kinds = ScriptKind::ALL.into_iter();
        let kinds: Vec<_> = kinds
            .filter(|kind| wanted.contains(kind) || part.scripts.contains(kind))
            .collect();
        let mut contents = vec![payload(part)];
        contents.extend(kinds.iter().map(|kind| script(part, *kind)));
        let payloads = contents.iter().enumerate().map(|(number, content)| {
            let index = raw_index(content, SEGMENT_BYTES);
            Payload {
                kind: match number {
                    0 => PayloadKind::File,
                    _ => PayloadKind::Script,
                },
                target: match number {
                    0 => "bin/app".to_owned(),
                    _ => kinds[number - 1].word().to_owned(),
                },
                size: content.len() as u64,
                hash: sha256(content),
                segment_size: SEGMENT_BYTES,
                index_hash: index_hash(index.iter().map(|entry| entry.hash)),
            }
        });
        let scripts = (1..).zip(&kinds).map(|(payload, kind)| Script {
            kind: *kind,
            payload,
            timeout_s: 60,
            attempts: part.runs,
            idempotent: part.idempotent,
        });
        let manifest = ArtifactManifest {
            name: part.name.parse().expect("a valid name"),
            version: part.version.to_string(),
            artifact_type: "files".into(),
            provides: Vec::new(),
            depends: part
                .depends
                .map(|name| (name.to_owned(), "*".to_owned()))
                .into_iter()
                .collect(),
            payloads: payloads.collect(),
            scripts: scripts.collect(),
            reboot: part.reboot != Reboot::None,
            disk_need: 0,
        };
        let index: Vec<_> = contents
            .iter()
            .flat_map(|content| raw_index(content, SEGMENT_BYTES))
            .collect();
        let mut bytes = artifact_start(&manifest, &index);
        contents.iter().for_each(|content| bytes.extend(content));
        let reference = ArtifactRef {
            size: bytes.len() as u64,
            hash: sha256(&encode(&manifest)),
        };
        Self {
            reference,
            manifest,
            bytes,
        }
    }
}

fn payload(part: &Part) -> Vec<u8> {
    let text = format!("{} {} ", part.name, part.version);
    text.bytes().cycle().take(PAYLOAD_BYTES).collect()
}

fn script(part: &Part, kind: ScriptKind) -> Vec<u8> {
    let Part { name, version, .. } = part;
    format!("#!/bin/sh\n{} {name} {version}\n", kind.word()).into_bytes()
}
