//! One message of every kind, always the same, from keys with known seeds.

use hoist_protocol::admission::Audience;
use hoist_protocol::bundle::{index_hash, raw_index};
use hoist_protocol::device::{DeviceInfo, Installed, Presence, PresenceState};
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{
    Attempt, DeploymentId, DeviceId, Generation, Namespace, ReleaseId, Resync, Round, Seq,
    SessionCounter, sha256,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{
    ArtifactManifest, ArtifactRef, Payload, PayloadKind, ReleaseManifest, Script,
};
use hoist_protocol::root::{KeyRole, RoleKey, RootDocument};
use hoist_protocol::spec::{
    Confirm, DeploymentSpec, DeviceSpec, GroupSpec, Overrides, Policy, Window,
};
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, Outcome, Progress, RetryCause, Rollback, ScriptExit,
    ScriptFailure, ScriptKind, Step, Success,
};

pub(crate) const ROOT_SEED: u8 = 1;
pub(crate) const RELEASE_SEED: u8 = 2;
pub(crate) const ORCHESTRATOR_SEED: u8 = 3;
pub(crate) const NEXT_ROOT_SEED: u8 = 5;
pub(crate) const NEXT_ORCHESTRATOR_SEED: u8 = 6;
pub(crate) const DEVICE_SEED: u8 = 4;

/// The key made from 32 times the same byte.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// A device id of 8 characters, as in the budgets.
pub(crate) fn device() -> DeviceId {
    "dev-0001".parse().unwrap()
}

pub(crate) fn empty_group_spec() -> GroupSpec {
    GroupSpec {
        generation: Generation(1_767_225_600_000),
        ..GroupSpec::default()
    }
}

pub(crate) fn group_spec() -> GroupSpec {
    GroupSpec {
        valid_for_s: 604_800,
        entries: vec![entry(1)],
        ..empty_group_spec()
    }
}

fn entry(deployment: u32) -> DeploymentSpec {
    DeploymentSpec {
        deployment: DeploymentId(deployment),
        release: release_manifest().id(),
        round: Round(0),
        audience: Audience::EVERYONE,
        policy: Policy::default(),
    }
}

pub(crate) fn full_group_spec() -> GroupSpec {
    let window = Window {
        start_minute: 10_079,
        minutes: 600,
    };
    let entries = (0..8).map(|n| DeploymentSpec {
        deployment: DeploymentId(u32::MAX - n),
        release: ReleaseId([0xff; 16]),
        round: Round(u32::MAX),
        audience: Audience::Ordered {
            line: u32::MAX - 1,
            order: u32::MAX - n,
        },
        policy: Policy {
            attempts: u32::MAX,
            timeout_s: u32::MAX,
            windows: vec![window; 7],
            overrides: Overrides {
                allow_downgrade: true,
                reinstall: false,
            },
            download_ahead: true,
            max_overrun_s: u32::MAX,
            confirm: Confirm::Online { within_s: u32::MAX },
            urgent: true,
        },
    });
    GroupSpec {
        generation: Generation(u64::MAX),
        valid_for_s: u32::MAX,
        resync: Resync(u32::MAX),
        spread_s: u32::MAX,
        source: Some("https://cdn.example.com/hoist/artifacts".into()),
        entries: entries.collect(),
    }
}

pub(crate) fn device_spec() -> DeviceSpec {
    DeviceSpec {
        generation: Generation(1_767_225_600_000),
        group: "eu".parse().unwrap(),
        labels: vec![("site".into(), "hamburg".into())],
        resync: Resync(2),
        holds: vec![DeploymentId(17), DeploymentId(18)],
        rounds: vec![(DeploymentId(19), Round(3))],
        permits: vec![(DeploymentId(19), Round(3)), (DeploymentId(300), Round(0))],
        public_key: Some(key(DEVICE_SEED).public()),
    }
}

pub(crate) fn progress() -> DeviceStatus {
    DeviceStatus {
        seq: Seq((1 << 14) - 1),
        ended: 3,
        running: Some(Progress {
            deployment: DeploymentId(127),
            round: Round(0),
            attempt: Attempt(1),
            step: Step::Downloading(100),
        }),
        outcomes: Vec::new(),
    }
}

pub(crate) fn ended(results: Vec<FinalResult>) -> DeviceStatus {
    let outcomes = (1..).zip(results).map(|(number, result)| Outcome {
        deployment: DeploymentId(number),
        round: Round(0),
        attempt: Attempt(1),
        result,
    });
    DeviceStatus {
        seq: Seq(300),
        ended: 8,
        running: None,
        outcomes: outcomes.collect(),
    }
}

pub(crate) fn successful() -> DeviceStatus {
    ended(vec![FinalResult::Successful(Success::Installed)])
}

pub(crate) fn failed(output: &[u8]) -> DeviceStatus {
    ended(vec![FinalResult::Failed(Failure {
        reason: Reason::ScriptFailed,
        artifact: Some(0),
        script: Some(ScriptFailure {
            kind: ScriptKind::Verify,
            exit: ScriptExit::Code(1),
        }),
        rollback: Rollback::Succeeded,
        output: output.to_vec(),
    })])
}

/// The answer to the resync of one device: what left the ring has no particulars.
pub(crate) fn everything() -> DeviceStatus {
    let ring = ring();
    let remembered = (1..=56).map(|number| Outcome {
        deployment: DeploymentId(number),
        round: Round(0),
        attempt: Attempt(0),
        result: match number % 2 {
            0 => FinalResult::Successful(Success::Installed),
            _ => FinalResult::Failed(Failure {
                reason: Reason::ScriptFailed,
                artifact: None,
                script: None,
                rollback: Rollback::Succeeded,
                output: Vec::new(),
            }),
        },
    });
    DeviceStatus {
        outcomes: remembered.chain(ring.outcomes).collect(),
        ..ring
    }
}

pub(crate) fn ring() -> DeviceStatus {
    let exits = [
        ScriptExit::Code(255),
        ScriptExit::Signal(9),
        ScriptExit::Timeout,
        ScriptExit::NotStarted,
        ScriptExit::Interrupted,
    ];
    let mut results = vec![
        FinalResult::Successful(Success::Already),
        FinalResult::Successful(Success::Installed),
        FinalResult::Failed(Failure {
            reason: Reason::NoSpace,
            artifact: None,
            script: None,
            rollback: Rollback::NotNeeded,
            output: Vec::new(),
        }),
    ];
    results.extend(ScriptKind::ALL.into_iter().zip(exits).map(|(kind, exit)| {
        FinalResult::Failed(Failure {
            reason: Reason::RollbackFailed,
            artifact: Some(15),
            script: Some(ScriptFailure { kind, exit }),
            rollback: Rollback::Failed,
            output: vec![b'x'; 256],
        })
    }));
    ended(results)
}

pub(crate) fn presence(state: PresenceState) -> Presence {
    Presence {
        state,
        session: SessionCounter(300),
    }
}

pub(crate) fn device_info() -> DeviceInfo {
    DeviceInfo {
        agent: "0.1.0".into(),
        device_type: "sensor-a".into(),
        attributes: vec![("board".into(), "revB".into())],
        inventory: vec![Installed {
            name: "app".parse().unwrap(),
            version: "1.1.0".into(),
            counter: 7,
        }],
        floor: 3,
        public_key: Some(key(DEVICE_SEED).public()),
        stored_spec: Some(vec![1, 2, 3]),
        trouble: None,
    }
}

pub(crate) const APP: &[u8] = b"the application";
const SCRIPTS: [(ScriptKind, &[u8]); 2] = [
    (ScriptKind::Install, b"#!/bin/sh\nexit 0\n"),
    (ScriptKind::Rollback, b"#!/bin/sh\nexit 0\n"),
];

/// The contents of an artifact's payloads, in manifest order.
pub(crate) fn contents_of(manifest: &ArtifactManifest) -> Vec<&'static [u8]> {
    let content = |payload: &Payload| match payload.kind {
        PayloadKind::Script => SCRIPTS[0].1,
        _ => APP,
    };
    manifest.payloads.iter().map(content).collect()
}

/// The contents of the artifact's payloads, in manifest order.
pub(crate) fn contents() -> Vec<&'static [u8]> {
    contents_of(&artifact_manifest())
}

/// An artifact with an executable and a file that only its owner reads.
pub(crate) fn modes_manifest() -> ArtifactManifest {
    let mut manifest = artifact_manifest();
    let kinds = [PayloadKind::Executable, PayloadKind::FileMode(0o600)];
    for (kind, target) in kinds.into_iter().zip(["bin/app", "etc/secret"]) {
        manifest.payloads.push(payload(kind, target, APP));
    }
    manifest
}

/// A status for every step.
pub(crate) fn steps() -> Vec<(String, DeviceStatus)> {
    let causes = [
        RetryCause::Http(503),
        RetryCause::NameNotFound,
        RetryCause::Unreachable,
        RetryCause::Cut,
        RetryCause::Silent,
        RetryCause::Later(ScriptKind::Install),
        RetryCause::Failed(Reason::ScriptFailed),
        RetryCause::Window,
    ];
    let mut steps = vec![
        Step::Downloading(0),
        Step::Downloaded,
        Step::Installing,
        Step::Rebooting,
        Step::Retrying,
    ];
    steps.extend(causes.map(Step::RetryingAfter));
    let status = |step: Step| {
        let mut status = progress();
        status.running = status.running.map(|running| Progress { step, ..running });
        (format!("status, {step:?}"), status)
    };
    steps.into_iter().map(status).collect()
}

/// A status for every reason.
pub(crate) fn reasons() -> Vec<(String, DeviceStatus)> {
    let status = |reason: &Reason| {
        let mut status = failed(b"");
        for outcome in &mut status.outcomes {
            if let FinalResult::Failed(failure) = &mut outcome.result {
                (failure.reason, failure.script) = (*reason, None);
            }
        }
        (format!("status, failed: {}", reason.word()), status)
    };
    Reason::ALL.iter().map(status).collect()
}

fn payload(kind: PayloadKind, target: &str, content: &[u8]) -> Payload {
    // Two segments for the application, so that an index hash joins more than one.
    let segment_size = 8;
    let index = raw_index(content, segment_size);
    Payload {
        kind,
        target: target.into(),
        size: content.len() as u64,
        hash: sha256(content),
        segment_size,
        index_hash: index_hash(index.iter().map(|entry| entry.hash)),
    }
}

pub(crate) fn artifact_manifest() -> ArtifactManifest {
    let mut payloads = vec![payload(PayloadKind::File, "app.bin", APP)];
    let mut scripts = Vec::new();
    for (number, (kind, content)) in (1..).zip(SCRIPTS) {
        let target = format!("scripts/{}", kind.word());
        payloads.push(payload(PayloadKind::Script, &target, content));
        scripts.push(Script {
            kind,
            payload: number,
            timeout_s: 600,
            attempts: 1,
            idempotent: false,
        });
    }
    ArtifactManifest {
        name: "app".parse().unwrap(),
        version: "1.1.0".into(),
        artifact_type: "files".into(),
        provides: vec![("app".into(), "1.1.0".into())],
        depends: vec![("bootloader".into(), ">=2".into())],
        payloads,
        scripts,
        reboot: true,
        disk_need: 1 << 20,
    }
}

pub(crate) fn release_manifest() -> ReleaseManifest {
    ReleaseManifest {
        name: "sensor-fw".parse().unwrap(),
        version: "1.1.0".into(),
        counter: 7,
        floor: 3,
        device_types: vec!["sensor-a".into()],
        attributes: vec![("board".into(), "revB".into())],
        artifacts: vec![ArtifactRef {
            size: 1 << 20,
            hash: [0xab; 32],
        }],
    }
}

pub(crate) fn root_document() -> RootDocument {
    let roles = [
        (KeyRole::Root, ROOT_SEED),
        (KeyRole::Release, RELEASE_SEED),
        (KeyRole::Orchestrator, ORCHESTRATOR_SEED),
    ];
    let keys = roles.map(|(role, seed)| RoleKey {
        role,
        key: key(seed).public(),
    });
    RootDocument {
        number: 1,
        namespace: Namespace::default(),
        issued: Generation(1_767_225_600_000),
        expires_s: 0,
        threshold: 1,
        keys: keys.to_vec(),
    }
}

/// The document after it, with another root key and another orchestrator's.
pub(crate) fn next_root_document() -> RootDocument {
    let mut next = root_document();
    next.number = 2;
    next.issued = Generation(1_767_225_660_000);
    let root = (KeyRole::Root, NEXT_ROOT_SEED);
    for (role, seed) in [root, (KeyRole::Orchestrator, NEXT_ORCHESTRATOR_SEED)] {
        let keys = next.keys.iter_mut().filter(|entry| entry.role == role);
        keys.for_each(|entry| entry.key = key(seed).public());
    }
    next
}
