//! Bytes that are read where they lie: messages, commands, topics, files.

use std::io::Read;

use hoist_device_client::agent::bundle::HoistFile;
use hoist_device_client::agent::config::AgentConfig;
use hoist_net::tls::{Certificate, Pem, Trust, certificates};
use hoist_orchestrator_core::api::json;
use hoist_orchestrator_core::model::selector::Selector;
use hoist_protocol::bundle::{Layout, read_bundle_start};
use hoist_protocol::codec::{Message, decode, decode_prefix, encode};
use hoist_protocol::device::{DeviceInfo, Presence};
use hoist_protocol::enroll::{EnrollAnswer, EnrollRequest, EnrollText};
use hoist_protocol::envelope::{PrivateKey, PublicKey, signer_of};
use hoist_protocol::release::{ArtifactManifest, ReleaseManifest};
use hoist_protocol::root::RootDocument;
use hoist_protocol::spec::{DeviceSpec, GroupSpec};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::{Topics, check_filter, check_topic, covers, matches};

/// What is read decides by the first byte; the rest is what is read.
fn split(input: &[u8]) -> (u8, &[u8]) {
    input
        .split_first()
        .map_or((0, input), |(first, rest)| (*first, rest))
}

/// A message of a device, the server or the root.
pub(super) fn messages(input: &[u8]) {
    let (first, bytes) = split(input);
    match first % 10 {
        0 => message::<DeviceStatus>(bytes),
        1 => message::<Presence>(bytes),
        2 => message::<DeviceInfo>(bytes),
        3 => message::<GroupSpec>(bytes),
        4 => message::<DeviceSpec>(bytes),
        5 => message::<ReleaseManifest>(bytes),
        6 => message::<ArtifactManifest>(bytes),
        7 => message::<EnrollRequest>(bytes),
        8 => message::<EnrollAnswer>(bytes),
        _ => message::<RootDocument>(bytes),
    }
    let _opened = EnrollRequest::open(bytes);
    let _opened = RootDocument::open_pinned(bytes, &[0; 32]);
}

/// Bytes that are a message are its only bytes, and it is within its bounds.
fn message<M: Message>(bytes: &[u8]) {
    let _signer = signer_of::<M>(bytes);
    let Ok((message, behind)) = decode_prefix::<M>(bytes) else {
        return;
    };
    let own = &bytes[..bytes.len() - behind.len()];
    assert!(own.len() <= M::BYTES_MAX);
    assert_eq!(message.check(), Ok(()));
    let encoded = encode(&message);
    if bytes.first() == Some(&M::VERSION) {
        assert_eq!(encoded, own, "one message, two encodings");
    }
    let again = decode::<M>(&encoded).map(|again| encode(&again));
    assert_eq!(again, Ok(encoded));
}

/// A verb, a line end, and the body of its command; or `selector`, and a selector of devices.
pub(super) fn commands(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let verb = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    if verb == "selector" {
        return selector(&String::from_utf8_lossy(body));
    }
    if let Err(refused) = json::parse(&verb, body) {
        assert!(
            !refused.detail.is_empty(),
            "{verb} is refused without a reason"
        );
    }
}

/// A selector that is read is read again as it is shown.
fn selector(text: &str) {
    match Selector::parse(text) {
        Ok(selector) => assert_eq!(Selector::parse(&selector.to_string()), Ok(selector)),
        Err(refused) => assert!(refused.detail.starts_with("column "), "{refused}"),
    }
}

/// What is allowed, what is asked for, and where something is said: three lines.
pub(super) fn topics(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let (Some(allowed), Some(filter), Some(topic)) = (lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let topics = Topics::default();
    if let Ok(parsed) = topics.parse(topic) {
        assert_eq!(topics.format(&parsed), topic);
        assert_eq!(check_topic(topic), Ok(()));
    }
    let is_sound = check_filter(allowed).is_ok() && check_filter(filter).is_ok();
    if is_sound && check_topic(topic).is_ok() && covers(allowed, filter) && matches(filter, topic) {
        assert!(
            matches(allowed, topic),
            "{filter} hears more than {allowed}"
        );
    }
}

/// An artifact, or a file that holds a release.
pub(super) fn artifacts(input: &[u8]) {
    let (first, bytes) = split(input);
    if first % 2 == 0 {
        let _length = Layout::manifest_bytes(bytes);
        if let Ok(layout) = Layout::read(bytes) {
            let begin = usize::try_from(layout.index_offset).unwrap();
            let _index = layout.read_index(bytes.get(begin..).unwrap_or_default());
        }
        return;
    }
    let _start = read_bundle_start(bytes);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("release.hoist");
    std::fs::write(&path, bytes).unwrap();
    // Of the wire vectors: a release of theirs is believed.
    let key = PrivateKey::from_seed(&[2; 32]).public();
    let keys: [PublicKey; 1] = [key];
    let Ok(file) = HoistFile::open(&path, &keys) else {
        return;
    };
    for index in 0..8 {
        if let Ok((_, mut artifact)) = file.artifact(index) {
            let mut content = Vec::new();
            let _read = artifact.read_to_end(&mut content);
            assert!(content.len() <= bytes.len());
        }
    }
}

/// What a person pastes or edits: an enrollment text, certificates, an `agent.toml`.
pub(super) fn settings(input: &[u8]) {
    let (first, bytes) = split(input);
    match first % 3 {
        0 => {
            if let Ok(text) = EnrollText::read(bytes) {
                assert_eq!(text.check(), Ok(()));
            }
        }
        1 => {
            let name = "a file";
            let _read = certificates(Pem { name, text: bytes });
            let _trust = Trust::pinned(Pem { name, text: bytes });
            let _certificate = Certificate::read(bytes);
        }
        _ => {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("agent.toml");
            std::fs::write(&path, bytes).unwrap();
            if let Err(error) = AgentConfig::load(&path) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}
