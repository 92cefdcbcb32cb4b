//! What is refused of releases, artifacts, roots and what devices say they are.

use super::*;

fn document(name: &'static str, of: &'static str, payload: Vec<u8>, code: &'static str) -> Refused {
    Refused {
        name,
        of,
        topic: "",
        payload,
        code,
    }
}

pub(super) fn releases() -> Vec<Refused> {
    let release = |name, release: &ReleaseManifest| {
        let payload = seal(&key(RELEASE_SEED), Kind::Release, "", release);
        document(name, "ReleaseManifest", payload, "E_DECODE")
    };
    let mut empty = release_manifest();
    empty.artifacts.clear();
    let mut high = release_manifest();
    high.floor = high.counter + 1;
    let orchestrator = key(ORCHESTRATOR_SEED);
    let online = seal(&orchestrator, Kind::Release, "", &release_manifest());
    let by_orchestrator = "a release by the orchestrator's key";
    vec![
        release("a release without artifacts", &empty),
        release("a floor above the counter", &high),
        document(by_orchestrator, "ReleaseManifest", online, "E_SIG"),
    ]
}

pub(super) fn artifacts() -> Vec<Refused> {
    let artifact = |name, payload| document(name, "ArtifactManifest", payload, "E_DECODE");
    let good = encode(&artifact_manifest());
    let mut outside = artifact_manifest();
    outside.payloads[0].target = "../app".into();
    let mut alike = artifact_manifest();
    alike.payloads[0].target = "scripts/Install".into();
    let mut lone = artifact_manifest();
    lone.scripts.pop();
    vec![
        artifact("a path that leads outside", encode(&outside)),
        artifact("paths that collide", encode(&alike)),
        artifact("no way back", encode(&lone)),
        artifact("a bool of 2", with(&good, good.len() - 4, 2)),
    ]
}

pub(super) fn roots_and_infos() -> Vec<Refused> {
    let mut foreign = root_document();
    foreign.namespace = "other".parse::<Namespace>().unwrap();
    let foreign = foreign.seal(&[key(ROOT_SEED)]);
    let bare = encode(&root_document());
    let mut info = device_info();
    info.agent = "x".repeat(65);
    // The number of attributes follows agent and type, with their lengths.
    let pairs = 1 + 1 + "0.1.0".len() + 1 + "sensor-a".len();
    let endless = with(&encode(&device_info()), pairs, 0x7f);
    let of_info = |name, payload| document(name, "DeviceInfo", payload, "E_DECODE");
    vec![
        document(
            "another root than the pinned",
            "RootDocument",
            foreign,
            "E_SIG",
        ),
        document(
            "a root that nobody signed",
            "RootDocument",
            bare,
            "E_DECODE",
        ),
        of_info("a text of 65 bytes", encode(&info)),
        of_info("an attribute list longer than the message", endless),
    ]
}

pub(super) fn next_roots() -> Vec<Refused> {
    let both = [key(ROOT_SEED), key(NEXT_ROOT_SEED)];
    let root = |name, payload, code| document(name, "RootDocument after it", payload, code);
    let changed = |change: fn(&mut RootDocument)| {
        let mut next = next_root_document();
        change(&mut next);
        next.seal(&both)
    };
    let next = next_root_document();
    vec![
        root(
            "the same root again",
            root_document().seal(&both[..1]),
            "E_ROOT_OLD",
        ),
        root(
            "a root with one between",
            changed(|next| next.number = 3),
            "E_ROOT_SKIPPED",
        ),
        root(
            "the next root of another namespace",
            changed(|next| next.namespace = "other".parse().unwrap()),
            "E_ROOT_NAMESPACE",
        ),
        root(
            "the next root without the keys before it",
            next.seal(&both[1..]),
            "E_ROOT_SIGNATURES",
        ),
        root(
            "the next root without its own keys",
            next.seal(&both[..1]),
            "E_ROOT_SIGNATURES",
        ),
        root(
            "the next root with a stranger's signature",
            next.seal(&[key(ROOT_SEED), key(NEXT_ROOT_SEED), key(DEVICE_SEED)]),
            "E_SIG",
        ),
        root(
            "a next root that is over",
            changed(|next| next.expires_s = 1_800_000_000),
            "E_ROOT_EXPIRED",
        ),
    ]
}

pub(super) fn artifact_files() -> Vec<Refused> {
    let manifest = artifact_manifest();
    let index: Vec<_> = contents()
        .iter()
        .zip(&manifest.payloads)
        .flat_map(|(content, payload)| raw_index(content, payload.segment_size))
        .collect();
    let start = artifact_start(&manifest, &index);
    let entry = start.len() - 37 * index.len();
    let file = |name, payload, code| Refused {
        name,
        of: "artifact file",
        topic: "",
        payload,
        code,
    };
    vec![
        file(
            "a file that ends in its index",
            start[..start.len() - 1].to_vec(),
            "E_LENGTH",
        ),
        file(
            "a file that ends in its manifest",
            start[..20].to_vec(),
            "E_LENGTH",
        ),
        file(
            "another segment hash",
            with(&start, entry + 5, start[entry + 5] ^ 1),
            "E_HASH",
        ),
        file(
            "a raw segment of another length",
            with(&start, entry, 9),
            "E_LENGTH",
        ),
        file(
            "an unknown segment encoding",
            with(&start, entry + 4, 1),
            "E_VERSION",
        ),
    ]
}
