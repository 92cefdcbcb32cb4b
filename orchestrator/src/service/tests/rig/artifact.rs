//! A small artifact.

use super::*;

pub(in crate::service) fn artifact(version: &str) -> (ArtifactRef, Vec<u8>) {
    let content: &[u8] = b"#!/bin/sh\n";
    let entries = raw_index(content, 64);
    let payload = |name: &str| Payload {
        kind: PayloadKind::Script,
        target: name.into(),
        size: content.len() as u64,
        hash: sha256(content),
        segment_size: 64,
        index_hash: index_hash(entries.iter().map(|entry| entry.hash)),
    };
    let script = |kind, payload| Script {
        kind,
        payload,
        timeout_s: 1,
        attempts: 1,
        idempotent: false,
    };
    let manifest = ArtifactManifest {
        name: "app".parse().unwrap(),
        version: version.into(),
        artifact_type: "files".into(),
        provides: Vec::new(),
        depends: Vec::new(),
        payloads: vec![payload("install"), payload("rollback")],
        scripts: vec![
            script(ScriptKind::Install, 0),
            script(ScriptKind::Rollback, 1),
        ],
        reboot: false,
        disk_need: 0,
    };
    let index: Vec<_> = entries.iter().chain(&entries).cloned().collect();
    let mut file = artifact_start(&manifest, &index);
    file.extend_from_slice(content);
    file.extend_from_slice(content);
    let hash = sha256(&encode(&manifest));
    let size = file.len() as u64;
    (ArtifactRef { size, hash }, file)
}
