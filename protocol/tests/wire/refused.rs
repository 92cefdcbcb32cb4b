//! Payloads that every reader must refuse, each with its code: for implementers in other
//! languages, and for us.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hoist_protocol::bundle::{BundleError, Layout, artifact_start, raw_index};
use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, open, seal};
use hoist_protocol::id::{Namespace, Seq};
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::root::RootDocument;
use hoist_protocol::spec::{Confirm, DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use serde_json::{Value, json};

use crate::samples::*;

mod documents;

use documents::{artifact_files, artifacts, next_roots, releases, roots_and_infos};

const GROUP: &str = "hoist/g/eu";
const OWN: &str = "hoist/d/dev-0001";
/// The time of the device that is shown the next root document.
const NOW_S: u64 = 1_800_000_000;
const STATUS: &str = "hoist/s/98/dev-0001";

/// One refused payload.
struct Refused {
    name: &'static str,
    of: &'static str,
    topic: &'static str,
    payload: Vec<u8>,
    code: &'static str,
}

/// The code with which a payload of a type, on its topic, is refused.
fn refusal(of: &str, topic: &str, payload: &[u8]) -> Option<String> {
    fn sealed<M: Message>(kind: Kind, seed: u8, scope: &str, payload: &[u8]) -> Option<String> {
        let opened = open::<M>(&[key(seed).public()], kind, scope, payload);
        opened.err().map(|error| error.code().to_string())
    }
    fn plain<M: Message>(payload: &[u8]) -> Option<String> {
        decode::<M>(payload)
            .err()
            .map(|error| error.code().to_string())
    }
    match of {
        "GroupSpec" => sealed::<GroupSpec>(Kind::GroupSpec, ORCHESTRATOR_SEED, topic, payload),
        "DeviceSpec" => sealed::<DeviceSpec>(Kind::DeviceSpec, ORCHESTRATOR_SEED, topic, payload),
        "ReleaseManifest" => sealed::<ReleaseManifest>(Kind::Release, RELEASE_SEED, "", payload),
        "RootDocument" => {
            let opened = RootDocument::open_pinned(payload, &root_document().pin());
            opened.err().map(|error| error.code().to_string())
        }
        "RootDocument after it" => {
            let opened = root_document().open_next(payload, NOW_S);
            opened.err().map(|error| error.code().to_string())
        }
        "DeviceStatus" => match DeviceStatus::receive(payload) {
            Err(error) => Some(error.code().to_string()),
            Ok(received) => {
                let verified = received.verify(&key(DEVICE_SEED).public(), topic);
                verified.err().map(|error| error.code().to_string())
            }
        },
        "Presence" => plain::<Presence>(payload),
        "DeviceInfo" => plain::<DeviceInfo>(payload),
        "ArtifactManifest" => plain::<ArtifactManifest>(payload),
        "artifact file" => artifact_file(payload).err().map(str::to_owned),
        other => panic!("nobody reads {other}"),
    }
}

fn artifact_file(bytes: &[u8]) -> Result<(), &'static str> {
    let code = |error: BundleError| match error {
        BundleError::Truncated { .. } | BundleError::Size { .. } => "E_LENGTH",
        BundleError::Hash | BundleError::IndexHash => "E_HASH",
        BundleError::Encoding { .. } => "E_VERSION",
        BundleError::Manifest(_) | BundleError::Magic => "E_DECODE",
    };
    let layout = Layout::read(bytes).map_err(code)?;
    let offset = |at: u64| usize::try_from(at).unwrap();
    let index = bytes.get(offset(layout.index_offset)..offset(layout.segments_offset));
    layout.read_index(index.ok_or("E_LENGTH")?).map_err(code)?;
    Ok(())
}

/// A payload written in hex, spaces for the reader.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap()
}

/// A copy in which the byte at `at` is another.
fn with(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    assert_ne!(changed[at], byte);
    changed[at] = byte;
    changed
}

fn presences() -> Vec<Refused> {
    let presence = |name, payload: &str, code| Refused {
        name,
        of: "Presence",
        topic: "hoist/p/98/dev-0001",
        payload: hex(payload),
        code,
    };
    vec![
        presence("nothing", "", "E_DECODE"),
        presence("only a version", "01", "E_DECODE"),
        presence("version 0", "00 01 05", "E_VERSION"),
        presence("a newer version", "02 01 05", "E_VERSION"),
        presence("a state that does not exist", "01 02 05", "E_VERSION"),
        presence("a number cut off", "01 01 ac", "E_DECODE"),
        presence("a number longer than needed", "01 01 ac 82 00", "E_DECODE"),
        presence(
            "a number of 65 bits",
            "01 01 ff ff ff ff ff ff ff ff ff 02",
            "E_DECODE",
        ),
        presence("a byte too many", "01 01 ac 02 00", "E_DECODE"),
        presence(
            "17 bytes",
            "01 01 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
            "E_DECODE",
        ),
    ]
}

fn status(name: &'static str, payload: Vec<u8>, code: &'static str) -> Refused {
    Refused {
        name,
        of: "DeviceStatus",
        topic: STATUS,
        payload,
        code,
    }
}

fn statuses() -> Vec<Refused> {
    let mut more = successful();
    more.outcomes = vec![more.outcomes[0].clone(); 65];
    vec![
        status(
            "101 percent",
            hex("01 01 00 01 01 00 00 00 65 00"),
            "E_DECODE",
        ),
        status(
            "an unknown step",
            hex("01 01 00 01 01 00 00 06 00"),
            "E_VERSION",
        ),
        status(
            "an unknown cause of waiting",
            hex("01 01 00 01 01 00 00 05 08 00"),
            "E_VERSION",
        ),
        status("an option that is neither", hex("01 01 00 02"), "E_DECODE"),
        status(
            "a list of 2^64 - 1 outcomes",
            hex("01 00 00 00 ff ff ff ff ff ff ff ff ff 01"),
            "E_DECODE",
        ),
        status(
            "65 outcomes",
            more.seal(&key(DEVICE_SEED), STATUS),
            "E_DECODE",
        ),
        status(
            "257 bytes of output",
            failed(&[b'x'; 257]).seal(&key(DEVICE_SEED), STATUS),
            "E_DECODE",
        ),
    ]
}

fn unsigned() -> Vec<Refused> {
    let signed = successful().seal(&key(DEVICE_SEED), STATUS);
    let mut cut = signed.clone();
    cut.pop();
    let mut unasked = progress().seal(&key(DEVICE_SEED), STATUS);
    unasked.extend([0; 64]);
    vec![
        status(
            "an outcome without signature",
            encode(&successful()),
            "E_SIG",
        ),
        status("a signature cut short", cut, "E_DECODE"),
        status("a signature without outcome", unasked, "E_DECODE"),
        status(
            "one bit of the signature",
            with(&signed, signed.len() - 1, 0xff),
            "E_SIG",
        ),
        status(
            "one bit of the body",
            with(&signed, 1, signed[1] ^ 1),
            "E_SIG",
        ),
        status(
            "signed by another key",
            successful().seal(&key(RELEASE_SEED), STATUS),
            "E_SIG",
        ),
        status(
            "signed for another topic",
            successful().seal(&key(DEVICE_SEED), "hoist/s/98/dev-0002"),
            "E_SIG",
        ),
        status(
            "signed for other fields",
            DeviceStatus {
                seq: Seq(301),
                ..successful()
            }
            .seal(&key(DEVICE_SEED), "hoist/s/98/dev-0003"),
            "E_SIG",
        ),
    ]
}

fn specs() -> Vec<Refused> {
    let spec = |name, payload: Vec<u8>, code| Refused {
        name,
        of: "GroupSpec",
        topic: GROUP,
        payload,
        code,
    };
    let good = |spec: &GroupSpec| seal(&key(ORCHESTRATOR_SEED), Kind::GroupSpec, GROUP, spec);
    let signed = good(&group_spec());
    let mut nine = full_group_spec();
    nine.entries.push(nine.entries[0].clone());
    let mut none = group_spec();
    none.entries[0].policy.attempts = 0;
    let mut hurried = group_spec();
    hurried.entries[0].policy.confirm = Confirm::Online { within_s: 0 };
    let mut overrun = group_spec();
    overrun.entries[0].policy.max_overrun_s = 1;
    let overrun = good(&overrun);
    let body = signed.len() - 68;
    let mut bare = signed.clone();
    bare.truncate(body);
    vec![
        spec("nine entries", good(&nine), "E_DECODE"),
        spec("a policy without attempts", good(&none), "E_DECODE"),
        spec(
            "a confirmation that nobody has time for",
            good(&hurried),
            "E_DECODE",
        ),
        spec(
            "an overrun of nothing that is said",
            with(&overrun, body, 0),
            "E_DECODE",
        ),
        spec(
            "a flag of a newer version",
            with(&signed, body - 1, 64),
            "E_VERSION",
        ),
        spec("a spec without its seal", bare, "E_DECODE"),
        spec(
            "a spec by the release key",
            seal(&key(RELEASE_SEED), Kind::GroupSpec, GROUP, &group_spec()),
            "E_SIG",
        ),
        spec(
            "the spec of another group",
            seal(
                &key(ORCHESTRATOR_SEED),
                Kind::GroupSpec,
                "hoist/g/us",
                &group_spec(),
            ),
            "E_SIG",
        ),
        Refused {
            name: "a group spec as a device spec",
            of: "DeviceSpec",
            topic: OWN,
            payload: seal(
                &key(ORCHESTRATOR_SEED),
                Kind::GroupSpec,
                OWN,
                &device_spec(),
            ),
            code: "E_SIG",
        },
    ]
}

fn all() -> Vec<Refused> {
    let lists = [
        presences(),
        statuses(),
        unsigned(),
        specs(),
        releases(),
        artifacts(),
        roots_and_infos(),
        next_roots(),
        artifact_files(),
    ];
    lists.into_iter().flatten().collect()
}

/// The rows of `vectors.json`.
pub(crate) fn refused() -> Vec<Value> {
    let row = |refused: &Refused| {
        json!({
            "name": refused.name, "type": refused.of, "topic": refused.topic,
            "payload": HEXLOWER.encode(&refused.payload), "code": refused.code,
        })
    };
    all().iter().map(row).collect()
}

#[test]
fn every_refused_payload_has_its_code() {
    let all = all();
    assert!(all.len() >= 30);
    for refused in all {
        let code = refusal(refused.of, refused.topic, &refused.payload);
        assert_eq!(code.as_deref(), Some(refused.code), "{}", refused.name);
    }
    let online = encode(&presence(PresenceState::Online));
    assert_eq!(
        refusal("Presence", "", &online),
        None,
        "the check can say yes"
    );
}
