//! What the decoder must survive; the numbers are the rows of the list of bad inputs.

use hoist_protocol::code::Code;
use hoist_protocol::codec::{DecodeError, Message, decode, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::envelope::{Kind, OpenError, PublicKey, open, seal, verify};
use hoist_protocol::release::ArtifactManifest;
use hoist_protocol::spec::GroupSpec;
use hoist_protocol::status::DeviceStatus;

use crate::samples::*;

#[test]
fn an_empty_payload_is_a_deletion_and_no_message() {
    // bad-inputs row 15
    assert_eq!(DeviceStatus::receive(b""), Err(DecodeError::Empty));
    assert_eq!(decode::<Presence>(b""), Err(DecodeError::Empty));
}

#[test]
fn what_is_truncated_trailing_or_not_canonical_is_refused() {
    // bad-inputs row 16
    let good = encode(&presence(PresenceState::Online));
    assert_eq!(good, [1, 1, 0xac, 0x02]);
    assert_eq!(decode::<Presence>(&good[..3]), Err(DecodeError::Malformed));
    let mut long = good;
    long.push(0);
    assert_eq!(
        decode::<Presence>(&long),
        Err(DecodeError::Trailing { count: 1 })
    );
    // 300 written with one byte more than needed
    assert_eq!(
        decode::<Presence>(&[1, 1, 0xac, 0x82, 0x00]),
        Err(DecodeError::NotCanonical)
    );
}

#[test]
fn a_bool_of_two_is_refused() {
    // bad-inputs row 16: `reboot` is before the disk need, three bytes of varint
    let mut bytes = encode(&artifact_manifest());
    let reboot = bytes.len() - 4;
    assert_eq!(bytes[reboot], 1);
    bytes[reboot] = 2;
    assert_eq!(
        decode::<ArtifactManifest>(&bytes),
        Err(DecodeError::Malformed)
    );
}

#[test]
fn a_flag_of_a_policy_that_is_not_known_is_of_a_newer_version() {
    // bad-inputs row 17: the last byte of this spec is the flags of its entry's policy
    let mut bytes = encode(&group_spec());
    *bytes.last_mut().unwrap() = 64;
    let error = decode::<GroupSpec>(&bytes).unwrap_err();
    assert_eq!(error.code(), Code::Version);
}

#[test]
fn an_unknown_variant_and_a_newer_version_are_told_apart_from_rubbish() {
    // bad-inputs row 17
    let error = decode::<Presence>(&[1, 2, 5]).unwrap_err();
    assert_eq!(error.code(), Code::Version);
    let error = decode::<Presence>(&[2, 1, 5]).unwrap_err();
    assert_eq!(error, DecodeError::Version { version: 2 });
}

#[test]
fn version_one_is_the_oldest_so_none_before_it_is_read() {
    // bad-inputs row 18
    assert_eq!(GroupSpec::VERSION, 1);
    let error = decode::<Presence>(&[0, 1, 5]).unwrap_err();
    assert_eq!(error, DecodeError::Version { version: 0 });
}

#[test]
fn a_device_info_of_the_version_before_is_read_as_strictly() {
    // bad-inputs row 18
    let info = device_info();
    let mut old = encode(&info);
    assert_eq!((old[0], old.pop()), (2, Some(0)), "no trouble");
    old[0] = 1;
    assert_eq!(decode::<DeviceInfo>(&old), Ok(info));
    old.push(0);
    assert_eq!(
        decode::<DeviceInfo>(&old),
        Err(DecodeError::Trailing { count: 1 })
    );
    old.truncate(old.len() - 2);
    assert_eq!(decode::<DeviceInfo>(&old), Err(DecodeError::Malformed));
}

#[test]
fn an_older_device_info_out_of_bounds_is_refused() {
    // bad-inputs rows 18 and 20
    let mut info = device_info();
    info.agent = "x".repeat(65);
    let mut old = encode(&info);
    old.pop();
    old[0] = 1;
    let error = decode::<DeviceInfo>(&old).unwrap_err();
    assert!(matches!(error, DecodeError::Bounds { .. }), "{error}");
}

#[test]
fn a_length_of_two_to_the_64_minus_one_is_refused() {
    // bad-inputs row 19: reserving that much would abort the test process
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let mut status = vec![1, 0, 0, 0]; // seq, ended, nothing running
    status.extend_from_slice(&huge);
    assert_eq!(decode::<DeviceStatus>(&status), Err(DecodeError::Malformed));
    let mut info = vec![1];
    info.extend_from_slice(&huge);
    assert_eq!(decode::<DeviceInfo>(&info), Err(DecodeError::Malformed));
}

#[test]
fn invalid_utf8_and_a_string_of_64_kb_are_refused() {
    // bad-inputs row 20
    let mut bytes = encode(&device_info());
    assert_eq!(bytes[1], 5, "the length of the agent version");
    bytes[2] = 0xff;
    assert_eq!(decode::<DeviceInfo>(&bytes), Err(DecodeError::Malformed));
    let mut info = device_info();
    info.agent = "x".repeat(65_536);
    let error = decode::<DeviceInfo>(&encode(&info)).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
    info.agent = "x".repeat(65);
    let error = decode::<DeviceInfo>(&encode(&info)).unwrap_err();
    assert!(matches!(error, DecodeError::Bounds { .. }), "{error}");
}

#[test]
fn a_wrong_key_id_a_small_order_key_and_an_unsigned_outcome_are_refused() {
    // bad-inputs row 22
    let trusted = [key(ORCHESTRATOR_SEED).public()];
    let mut sealed = seal(&key(ORCHESTRATOR_SEED), Kind::GroupSpec, "t", &group_spec());
    let id_at = sealed.len() - 68;
    sealed[id_at] ^= 1;
    let error = open::<GroupSpec>(&trusted, Kind::GroupSpec, "t", &sealed).unwrap_err();
    assert!(matches!(error, OpenError::UnknownKey { .. }), "{error}");
    assert_eq!(error.code(), Code::Signature);

    // The neutral element: R = A = neutral and s = 0 satisfies the lax equation for any text.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let refused = verify(&PublicKey(neutral), Kind::Status, "t", b"any", &signature);
    assert_eq!(refused, Err(OpenError::Signature));

    let bare = encode(&successful());
    let received = DeviceStatus::receive(&bare).unwrap();
    let public = key(DEVICE_SEED).public();
    assert_eq!(received.verify(&public, "t"), Err(OpenError::Signature));
}

#[test]
fn a_signature_counts_only_on_its_own_topic() {
    // bad-inputs row 23
    let sealed = successful().seal(&key(DEVICE_SEED), "hoist/s/00/d1");
    let received = DeviceStatus::receive(&sealed).unwrap();
    let public = key(DEVICE_SEED).public();
    assert_eq!(received.verify(&public, "hoist/s/00/d1"), Ok(()));
    let error = received.verify(&public, "hoist/s/00/d2").unwrap_err();
    assert_eq!(error.code(), Code::Signature);
}
