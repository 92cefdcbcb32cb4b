//! Golden vectors: the bytes of every message, kept for ever from the first tagged
//! release. To write them again on purpose: `HOIST_WRITE_VECTORS=1 cargo test -p
//! hoist-protocol --test wire`, and say so in the changelog. CI refuses to write.

use std::path::Path;

use data_encoding::HEXLOWER;
use hoist_protocol::admission::hash32;
use hoist_protocol::bundle::{Layout, artifact_start, bundle_start, raw_index, read_bundle_start};
use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::device::{DeviceInfo, PresenceState, Trouble};
use hoist_protocol::enroll::EnrollRequest;
use hoist_protocol::envelope::{Kind, open, seal};
use hoist_protocol::id::{DeploymentId, Shard};
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::root::RootDocument;
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::{Topic, Topics};
use serde_json::{Value, json};

use crate::enroll_samples::*;
use crate::refused::refused;
use crate::samples::*;

/// One row of the file: what was encoded, where it goes, and its bytes.
fn vector(name: &str, topic: &str, kind: &Value, payload: &[u8], (of, message): &Typed) -> Value {
    json!({
        "name": name, "type": of, "topic": topic, "kind": kind,
        "payload": HEXLOWER.encode(payload), "message": message,
    })
}

/// A message as JSON, with the name of its type.
type Typed = (String, Value);

fn json<M: Message>(message: &M) -> Typed {
    let path = std::any::type_name::<M>();
    let name = path.rsplit("::").next().unwrap().to_owned();
    (name, exact(serde_json::to_value(message).unwrap()))
}

/// Numbers that a JSON reader may round become strings.
fn exact(value: Value) -> Value {
    const SAFE_MAX: u64 = 1 << 53;
    match value {
        Value::Number(number) if number.as_u64() > Some(SAFE_MAX) => json!(number.to_string()),
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(name, value)| (name, exact(value))).collect()
        }
        other => other,
    }
}

fn plain<M: Message>(name: &str, topic: &Topic, message: &M) -> Value {
    let payload = encode(message);
    let decoded: M = decode(&payload).unwrap();
    assert_eq!(json(&decoded), json(message), "{name}");
    let topic = Topics::default().format(topic);
    vector(name, &topic, &Value::Null, &payload, &json(message))
}

fn sealed<M: Message>(name: &str, topic: &Topic, kind: Kind, seed: u8, message: &M) -> Value {
    let topic = Topics::default().format(topic);
    // A release also travels in files, so its scope is empty.
    let scope = if kind == Kind::Release { "" } else { &topic };
    let payload = seal(&key(seed), kind, scope, message);
    let opened = open::<M>(&[key(seed).public()], kind, scope, &payload).unwrap();
    assert_eq!(json(&opened.message), json(message), "{name}");
    vector(name, &topic, &json!(kind as u8), &payload, &json(message))
}

fn status(name: &str, message: &DeviceStatus) -> Value {
    let topic = Topics::default().format(&Topic::Status(device()));
    let payload = message.seal(&key(DEVICE_SEED), &topic);
    let received = DeviceStatus::receive(&payload).unwrap();
    let public = key(DEVICE_SEED).public();
    assert_eq!(received.verify(&public, &topic), Ok(()), "{name}");
    assert_eq!(&received.status, message, "{name}");
    let kind = (!message.outcomes.is_empty()).then_some(Kind::Status as u8);
    vector(name, &topic, &json!(kind), &payload, &json(message))
}

fn root() -> Value {
    let document = root_document();
    let payload = document.seal(&[key(ROOT_SEED)]);
    let opened = RootDocument::open_pinned(&payload, &document.pin());
    assert_eq!(opened.as_ref(), Ok(&document));
    let topic = Topics::default().format(&Topic::Root(1));
    let kind = json!(Kind::Root as u8);
    vector("root document", &topic, &kind, &payload, &json(&document))
}

/// The next one, by the keys of both.
fn next_root() -> Value {
    let document = next_root_document();
    let payload = document.seal(&[key(ROOT_SEED), key(NEXT_ROOT_SEED)]);
    let opened = root_document().open_next(&payload, 0);
    assert_eq!(opened.as_ref(), Ok(&document));
    let topic = Topics::default().format(&Topic::Root(2));
    let kind = json!(Kind::Root as u8);
    vector(
        "next root document",
        &topic,
        &kind,
        &payload,
        &json(&document),
    )
}

/// An artifact file, whole: a payload of two segments, an executable, two scripts.
fn artifact_file(name: &str, manifest: &ArtifactManifest) -> Value {
    let contents = contents_of(manifest);
    let index: Vec<_> = contents
        .iter()
        .zip(&manifest.payloads)
        .flat_map(|(content, payload)| raw_index(content, payload.segment_size))
        .collect();
    let start = artifact_start(manifest, &index);
    let layout = Layout::read(&start).unwrap();
    assert_eq!(&layout.manifest, manifest);
    assert_eq!(layout.segments_offset, start.len() as u64);
    let index_offset = usize::try_from(layout.index_offset).unwrap();
    let read: Vec<_> = layout.read_index(&start[index_offset..]).unwrap().concat();
    assert_eq!(read, index);
    let file = [start, contents.concat()].concat();
    assert_eq!(layout.raw_bytes, file.len() as u64);
    vector(name, "", &Value::Null, &file, &json(manifest))
}

fn files() -> [Value; 3] {
    let release = release_manifest();
    let signed = seal(&key(RELEASE_SEED), Kind::Release, "", &release);
    let bundle = bundle_start(&signed);
    assert_eq!(read_bundle_start(&bundle), Ok((&signed[..], &[][..])));
    [
        artifact_file("artifact file", &artifact_manifest()),
        artifact_file("artifact file, modes", &modes_manifest()),
        vector(
            "bundle start",
            "",
            &json!(Kind::Release as u8),
            &bundle,
            &json(&release),
        ),
    ]
}

/// What devices said before its version: it is still read, and never written.
fn before<M: Message>(name: &str, topic: &Topic, payload: &str, message: &M) -> Value {
    let payload = HEXLOWER.decode(payload.as_bytes()).unwrap();
    let decoded: M = decode(&payload).unwrap();
    assert_eq!(json(&decoded), json(message), "{name}");
    let topic = Topics::default().format(topic);
    vector(name, &topic, &Value::Null, &payload, &json(message))
}

/// What a device says of itself that is in trouble.
fn troubled(name: &str, trouble: Trouble) -> Value {
    let trouble = Some(trouble);
    let info = DeviceInfo {
        trouble,
        ..device_info()
    };
    plain(name, &Topic::Info(device()), &info)
}

const DEVICE_INFO_V1: &str = "0105302e312e300873656e736f722d610105626f6172640472657642010361707005\
    312e312e30070301ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c0103010203";

fn vectors() -> Vec<Value> {
    let group = Topic::GroupSpec("eu".parse().unwrap());
    let spec = |name, message| sealed(name, &group, Kind::GroupSpec, ORCHESTRATOR_SEED, message);
    let own = Topic::DeviceSpec(device());
    let release: ReleaseManifest = release_manifest();
    let mut vectors = vec![
        spec("group spec, empty", &empty_group_spec()),
        spec("group spec, one entry", &group_spec()),
        spec("group spec, everything set", &full_group_spec()),
        sealed(
            "device spec",
            &own,
            Kind::DeviceSpec,
            ORCHESTRATOR_SEED,
            &device_spec(),
        ),
        status("status, progress", &progress()),
        status("status, successful", &successful()),
        status("status, failed with output", &failed(b"no such file\n")),
        status("status, ring of 8", &ring()),
        status("status, everything remembered", &everything()),
        plain(
            "presence, offline",
            &Topic::Presence(device()),
            &presence(PresenceState::Offline),
        ),
        plain(
            "presence, online",
            &Topic::Presence(device()),
            &presence(PresenceState::Online),
        ),
        plain("device info", &Topic::Info(device()), &device_info()),
        before(
            "device info, version 1",
            &Topic::Info(device()),
            DEVICE_INFO_V1,
            &device_info(),
        ),
        troubled("device info, in trouble", Trouble::RootNotTrusted),
        troubled("device info, held", Trouble::Held),
        sealed(
            "release manifest",
            &Topic::Release(release.id()),
            Kind::Release,
            RELEASE_SEED,
            &release,
        ),
        root(),
        next_root(),
    ];
    vectors.extend(steps().iter().map(|(name, message)| status(name, message)));
    vectors.extend(
        reasons()
            .iter()
            .map(|(name, message)| status(name, message)),
    );
    vectors.extend(files());
    vectors.extend(enrollment());
    vectors
}

fn enrollment() -> [Value; 5] {
    let (asks, answers) = (
        Topic::EnrollRequest(device()),
        Topic::EnrollAnswer(device()),
    );
    let topic = Topics::default().format(&asks);
    let request = |name: &str, request: &EnrollRequest| {
        let sealed = request.seal(&key(DEVICE_SEED), &topic);
        let opened = EnrollRequest::open(&sealed).unwrap();
        assert!(
            &opened == request && opened.is_proven(&topic, &sealed),
            "{name}"
        );
        let kind = json!(Kind::Enrollment as u8);
        vector(name, &topic, &kind, &sealed, &json(request))
    };
    let text = enroll_text();
    [
        request("enroll request, by a claim", &enroll_request()),
        request(
            "enroll request, renewal",
            &EnrollRequest {
                claim: None,
                ..enroll_request()
            },
        ),
        plain("enroll answer, certificate", &answers, &enrolled()),
        plain("enroll answer, refused", &answers, &enroll_refused()),
        vector(
            "enroll text",
            "",
            &Value::Null,
            &encode(&text),
            &json(&text),
        ),
    ]
}

/// The order of devices in a deployment, and the shards of their topics.
fn hashes() -> Vec<Value> {
    let devices = ["dev-0001", "dev-0002", "a", "A-very_long-id"];
    let cases = devices
        .iter()
        .flat_map(|id| [(0_u32, *id), (17, *id), (u32::MAX, *id)]);
    let row = |(deployment, id): (u32, &str)| {
        let device = id.parse().unwrap();
        json!({
            "deployment": deployment, "device": id,
            "hash32": hash32(DeploymentId(deployment), &device),
            "shard": Shard::of(&device).to_string(),
        })
    };
    cases.map(row).collect()
}

#[test]
fn every_message_has_exactly_its_golden_bytes() {
    let seeds = json!({
        "root": ROOT_SEED, "release": RELEASE_SEED,
        "orchestrator": ORCHESTRATOR_SEED, "device": DEVICE_SEED,
        "nextRoot": NEXT_ROOT_SEED, "nextOrchestrator": NEXT_ORCHESTRATOR_SEED,
    });
    let now = json!({
        "about": "each private key is the Ed25519 seed of 32 times the given byte; numbers \
                  above 2^53 are strings; what is refused is refused with the code beside it",
        "seeds": seeds, "vectors": vectors(), "hashes": hashes(), "refused": refused(),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors.json");
    if std::env::var_os("HOIST_WRITE_VECTORS").is_some() {
        assert!(std::env::var_os("CI").is_none(), "CI never writes vectors");
        let text = serde_json::to_string_pretty(&now).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for list in ["vectors", "hashes", "refused"] {
        let [golden, now] = [&golden, &now].map(|file| file[list].as_array().unwrap());
        for (golden, now) in golden.iter().zip(now) {
            assert_eq!(golden, now, "{}", golden["name"]);
        }
        assert_eq!(golden.len(), now.len(), "{list}");
    }
}
