//! For every message: it comes back as it was, and damaged bytes are refused or are
//! themselves the one encoding of another message. For every seal: no damage passes.

use core::fmt::Debug;

use hoist_protocol::admission::Audience;
use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::device::{DeviceInfo, Installed, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, PublicKey, open, seal};
use hoist_protocol::id::{
    Attempt, DeploymentId, Generation, GroupId, Name, ReleaseId, Resync, Round, Seq, SessionCounter,
};
use hoist_protocol::reason::Reason;
use hoist_protocol::release::{ArtifactManifest, ArtifactRef, ReleaseManifest};
use hoist_protocol::root::RootDocument;
use hoist_protocol::spec::{
    Confirm, DeploymentSpec, DeviceSpec, GroupSpec, Overrides, Policy, Window,
};
use hoist_protocol::status::{
    DeviceStatus, Failure, FinalResult, Outcome, Progress, RetryCause, Rollback, ScriptExit,
    ScriptFailure, ScriptKind, Step, Success,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::samples::*;

mod seals;

/// Refused, or exactly the encoding of what it decodes to.
fn refused_or_equal<M: Message>(bytes: &[u8]) {
    if let Ok(message) = decode::<M>(bytes) {
        assert_eq!(encode(&message), bytes);
    }
}

/// All single-bit changes of `bytes`.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

fn survives_damage<M: Message + PartialEq + Debug>(message: &M) {
    let bytes = encode(message);
    assert!(bytes.len() <= M::BYTES_MAX);
    assert_eq!(decode::<M>(&bytes).as_ref(), Ok(message));
    for end in 0..bytes.len() {
        assert!(decode::<M>(&bytes[..end]).is_err(), "cut at {end}");
    }
    for byte in [0, 1, 0xff] {
        let mut longer = bytes.clone();
        longer.push(byte);
        assert!(decode::<M>(&longer).is_err(), "followed by {byte}");
    }
    flips(&bytes).for_each(|flipped| refused_or_equal::<M>(&flipped));
}

fn text() -> impl Strategy<Value = String> {
    vec(
        any::<char>().prop_filter("printable", |c| !c.is_control()),
        1..8,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn id<T: core::str::FromStr<Err: Debug> + Debug>() -> impl Strategy<Value = T> {
    let digits = b"abcXYZ019_-";
    vec(proptest::sample::select(&digits[..]), 1..20)
        .prop_map(|bytes| String::from_utf8(bytes).unwrap().parse().unwrap())
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((text(), text()), 0..3)
}

fn policy() -> impl Strategy<Value = Policy> {
    let window = (0..10_080_u16, 1..=u16::MAX).prop_map(|(start_minute, minutes)| Window {
        start_minute,
        minutes,
    });
    (
        1_u32..,
        any::<u32>(),
        vec(window, 0..=7),
        any::<[bool; 4]>(),
        any::<u32>(),
        option::of(1_u32..),
    )
        .prop_map(
            |(attempts, timeout_s, windows, switches, max_overrun_s, online)| Policy {
                attempts,
                timeout_s,
                windows,
                overrides: Overrides {
                    allow_downgrade: switches[0],
                    reinstall: switches[1],
                },
                download_ahead: switches[2],
                max_overrun_s,
                confirm: online.map_or(Confirm::Verify, |within_s| Confirm::Online { within_s }),
                urgent: switches[3],
            },
        )
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        any::<u32>().prop_map(Audience::Below),
        any::<(u32, u32)>().prop_map(|(line, order)| Audience::Ordered { line, order }),
    ]
}

fn a_group_spec() -> impl Strategy<Value = GroupSpec> {
    let entry = (
        any::<u32>(),
        any::<[u8; 16]>(),
        any::<u32>(),
        audience(),
        policy(),
    )
        .prop_map(
            |(deployment, release, round, audience, policy)| DeploymentSpec {
                deployment: DeploymentId(deployment),
                release: ReleaseId(release),
                round: Round(round),
                audience,
                policy,
            },
        );
    let numbers = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
    (numbers, option::of(text()), vec(entry, 0..=3)).prop_map(
        |((generation, valid_for_s, resync, spread_s), source, entries)| GroupSpec {
            generation: Generation(generation),
            valid_for_s,
            resync: Resync(resync),
            spread_s,
            source,
            entries,
        },
    )
}

fn a_device_spec() -> impl Strategy<Value = DeviceSpec> {
    let holds = vec(any::<u32>().prop_map(DeploymentId), 0..=8);
    let rounds = || {
        let round = any::<u32>().prop_map(Round);
        vec((any::<u32>().prop_map(DeploymentId), round), 0..=8)
    };
    let public_key = option::of(any::<[u8; 32]>().prop_map(PublicKey));
    (
        any::<u64>(),
        id::<GroupId>(),
        pairs(),
        any::<u32>(),
        holds,
        rounds(),
        rounds(),
        public_key,
    )
        .prop_map(
            |(generation, group, labels, resync, holds, rounds, permits, public_key)| DeviceSpec {
                generation: Generation(generation),
                group,
                labels,
                resync: Resync(resync),
                holds,
                rounds,
                permits,
                public_key,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..=100_u8).prop_map(Step::Downloading),
        Just(Step::Downloaded),
        Just(Step::Installing),
        Just(Step::Rebooting),
        Just(Step::Retrying),
        any::<u16>().prop_map(|status| Step::RetryingAfter(RetryCause::Http(status))),
    ]
}

fn script() -> impl Strategy<Value = ScriptFailure> {
    let exit = prop_oneof![
        any::<u8>().prop_map(ScriptExit::Code),
        any::<u8>().prop_map(ScriptExit::Signal),
        Just(ScriptExit::Timeout),
        Just(ScriptExit::NotStarted),
        Just(ScriptExit::Interrupted),
    ];
    (proptest::sample::select(&ScriptKind::ALL[..]), exit)
        .prop_map(|(kind, exit)| ScriptFailure { kind, exit })
}

fn result() -> impl Strategy<Value = FinalResult> {
    let rollbacks = vec![Rollback::NotNeeded, Rollback::Succeeded, Rollback::Failed];
    let failure = (
        proptest::sample::select(Reason::ALL),
        option::of(any::<u8>()),
        option::of(script()),
        proptest::sample::select(rollbacks),
        vec(any::<u8>(), 0..40),
    )
        .prop_map(|(reason, artifact, script, rollback, output)| {
            FinalResult::Failed(Failure {
                reason,
                artifact,
                script,
                rollback,
                output,
            })
        });
    prop_oneof![
        Just(FinalResult::Successful(Success::Installed)),
        Just(FinalResult::Successful(Success::Already)),
        failure,
    ]
}

fn a_status() -> impl Strategy<Value = DeviceStatus> {
    let at = || (any::<u32>(), any::<u32>(), any::<u32>());
    let running = (at(), step()).prop_map(|((deployment, round, attempt), step)| Progress {
        deployment: DeploymentId(deployment),
        round: Round(round),
        attempt: Attempt(attempt),
        step,
    });
    let outcome = (at(), result()).prop_map(|((deployment, round, attempt), result)| Outcome {
        deployment: DeploymentId(deployment),
        round: Round(round),
        attempt: Attempt(attempt),
        result,
    });
    (
        any::<u64>(),
        any::<u32>(),
        option::of(running),
        vec(outcome, 0..=4),
    )
        .prop_map(|(seq, ended, running, outcomes)| DeviceStatus {
            seq: Seq(seq),
            ended,
            running,
            outcomes,
        })
}

fn an_info() -> impl Strategy<Value = DeviceInfo> {
    let installed =
        (id::<Name>(), text(), any::<u64>()).prop_map(|(name, version, counter)| Installed {
            name,
            version,
            counter,
        });
    let stored_spec = option::of(vec(any::<u8>(), 0..40));
    let key = option::of(any::<[u8; 32]>().prop_map(PublicKey));
    let inventory = vec(installed, 0..3);
    (
        text(),
        text(),
        pairs(),
        inventory,
        any::<u64>(),
        key,
        stored_spec,
    )
        .prop_map(
            |(agent, device_type, attributes, inventory, floor, public_key, stored_spec)| {
                DeviceInfo {
                    agent,
                    device_type,
                    attributes,
                    inventory,
                    floor,
                    public_key,
                    stored_spec,
                    trouble: None,
                }
            },
        )
}

fn a_release() -> impl Strategy<Value = ReleaseManifest> {
    let artifact =
        (any::<u64>(), any::<[u8; 32]>()).prop_map(|(size, hash)| ArtifactRef { size, hash });
    let counters = any::<u64>().prop_flat_map(|counter| (Just(counter), 0..=counter));
    (
        id::<Name>(),
        text(),
        counters,
        vec(text(), 0..3),
        pairs(),
        vec(artifact, 1..4),
    )
        .prop_map(
            |(name, version, (counter, floor), device_types, attributes, artifacts)| {
                ReleaseManifest {
                    name,
                    version,
                    counter,
                    floor,
                    device_types,
                    attributes,
                    artifacts,
                }
            },
        )
}

fn an_artifact() -> impl Strategy<Value = ArtifactManifest> {
    (
        id::<Name>(),
        text(),
        pairs(),
        pairs(),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(
            |(name, version, provides, depends, reboot, disk_need)| ArtifactManifest {
                name,
                version,
                provides,
                depends,
                reboot,
                disk_need,
                ..artifact_manifest()
            },
        )
}

fn a_root() -> impl Strategy<Value = RootDocument> {
    (1_u32.., any::<u64>(), any::<u64>()).prop_map(|(number, issued, expires_s)| RootDocument {
        number,
        issued: Generation(issued),
        expires_s,
        ..root_document()
    })
}

proptest! {
    // Every case tries every bit: few cases are many inputs.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn a_group_spec_survives_damage(message in a_group_spec()) { survives_damage(&message); }

    #[test]
    fn a_device_spec_survives_damage(message in a_device_spec()) { survives_damage(&message); }

    #[test]
    fn a_status_survives_damage(message in a_status()) { survives_damage(&message); }

    #[test]
    fn an_info_survives_damage(message in an_info()) { survives_damage(&message); }

    #[test]
    fn a_release_survives_damage(message in a_release()) { survives_damage(&message); }

    #[test]
    fn an_artifact_survives_damage(message in an_artifact()) { survives_damage(&message); }

    #[test]
    fn a_root_survives_damage(message in a_root()) { survives_damage(&message); }

    #[test]
    fn presence_survives_damage(session: u64, online: bool) {
        let state = if online { PresenceState::Online } else { PresenceState::Offline };
        survives_damage(&Presence { state, session: SessionCounter(session) });
    }

    #[test]
    fn any_bytes_are_refused_or_equal(bytes in vec(any::<u8>(), 0..200)) {
        refused_or_equal::<GroupSpec>(&bytes);
        refused_or_equal::<DeviceSpec>(&bytes);
        refused_or_equal::<DeviceStatus>(&bytes);
        refused_or_equal::<DeviceInfo>(&bytes);
        refused_or_equal::<Presence>(&bytes);
        refused_or_equal::<ReleaseManifest>(&bytes);
        refused_or_equal::<ArtifactManifest>(&bytes);
        refused_or_equal::<RootDocument>(&bytes);
    }
}
