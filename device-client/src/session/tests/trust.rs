//! A newer root document, and what the keys before it have signed.

use super::*;

fn entries(generation: u64, deployments: &[u32]) -> GroupSpec {
    GroupSpec {
        generation: Generation(generation),
        entries: deployments.iter().map(|id| entry(*id)).collect(),
        ..GroupSpec::default()
    }
}

impl Device {
    /// Hears both specs by a key, at this generation.
    fn told_by(&mut self, signer: KeyId, generation: u64, deployments: &[u32]) -> Vec<Output> {
        let own = own_spec(generation, "eu");
        let received = generation.to_be_bytes();
        let clock = &mut self.clock;
        self.session.device_spec(own, signer, &received, clock);
        let mut outputs = self.outputs();
        let (group, spec) = ("eu".parse().unwrap(), entries(generation, deployments));
        self.session
            .group_spec(&group, spec, signer, &mut self.clock);
        outputs.extend(self.outputs());
        outputs
    }

    fn starts(&mut self) -> bool {
        self.session.manifest(RELEASE).is_some()
    }
}

#[test]
fn the_next_root_is_heard_before_any_spec_and_changes_what_is_obeyed_in_the_same_connection() {
    let mut device = Device::new(known());
    let outputs = device.connect();
    let heard = [
        (true, Topic::Root(2)),
        (true, Topic::DeviceSpec(device_id())),
    ];
    assert_eq!(topics(&outputs), heard);
    device.told_by(SIGNER, NOW_MS, &[]);
    assert!(device.session.machine().obeys());
    device.session.trusts(trusted(2, OTHER), &mut device.clock);
    assert!(!device.session.machine().obeys(), "the key is revoked");
    let again = [
        (false, Topic::Root(2)),
        (false, group_topic("eu")),
        (true, Topic::Root(3)),
        (true, Topic::DeviceSpec(device_id())),
    ];
    assert_eq!(topics(&device.outputs()), again);
    assert!(device.session.is_online());
    device.told_by(OTHER, NOW_MS + 1, &[1]);
    assert!(device.starts());
}

#[test]
fn the_generations_of_a_new_key_begin_anew_and_those_of_one_that_stays_do_not() {
    // bad-inputs row 43
    for (signers, obeyed) in [(vec![OTHER], true), (vec![SIGNER, OTHER], false)] {
        let mut device = Device::member();
        // A thief of the key has driven everything to its end.
        device.told_by(SIGNER, u64::MAX, &[]);
        let next = Trusted {
            signers,
            ..trusted(2, OTHER)
        };
        device.session.trusts(next, &mut device.clock);
        device.told_by(OTHER, NOW_MS + 5, &[1]);
        assert_eq!(device.starts(), obeyed);
    }
}

#[test]
fn device_time_that_a_revoked_key_has_signed_is_forgotten() {
    // bad-inputs row 43
    let mut device = Device::member();
    device.told_by(SIGNER, u64::MAX, &[]);
    assert!(device.clock.0 > NOW_MS * 1_000);
    let next = Trusted {
        issued_ms: NOW_MS + 7,
        ..trusted(2, OTHER)
    };
    device.session.trusts(next, &mut device.clock);
    assert_eq!(device.clock.0, NOW_MS + 7);
}

#[test]
fn a_device_that_was_removed_by_a_stolen_key_is_registered_again_by_the_new_one() {
    // bad-inputs row 43
    let mut device = Device::member();
    device.told_by(SIGNER, u64::MAX, &[]);
    device.session.removed(&mut device.clock);
    device.outputs();
    device.session.trusts(trusted(2, OTHER), &mut device.clock);
    device.told_by(OTHER, NOW_MS + 5, &[1]);
    assert!(device.starts());
}

#[test]
fn a_power_cut_between_root_and_journal_keeps_no_floor_of_the_key_before() {
    // bad-inputs row 43
    let record = Record {
        generation: Generation(u64::MAX),
        signer: Some(SIGNER),
        ..Record::default()
    };
    for (signer, obeyed) in [(SIGNER, false), (OTHER, true)] {
        let root = Root::Known(trusted(2, signer));
        let mut device = Device::new_with(root, record.clone(), Some(own_spec(1, "eu")));
        device.connect();
        device.told_by(signer, NOW_MS, &[1]);
        assert_eq!(device.starts(), obeyed);
    }
}

#[test]
fn what_an_older_agent_kept_without_its_key_holds_no_later_root_document_back() {
    // bad-inputs row 43
    let record = Record {
        generation: Generation(u64::MAX),
        signer: None,
        ..Record::default()
    };
    for (number, obeyed) in [(1, false), (2, true)] {
        let root = Root::Known(trusted(number, OTHER));
        let mut device = Device::new_with(root, record.clone(), Some(own_spec(1, "eu")));
        device.connect();
        device.told_by(OTHER, NOW_MS, &[1]);
        assert_eq!(device.starts(), obeyed, "{number}");
    }
}

#[test]
fn a_message_by_an_unknown_key_asks_once_for_a_newer_root() {
    let mut device = Device::member();
    for asked in [vec![(true, Topic::Root(2))], Vec::new()] {
        device.session.signed_by_unknown();
        assert_eq!(topics(&device.outputs()), asked);
    }
    // The manifest comes once more, behind the root that may name its key.
    let mut device = Device::member();
    device.list(NOW_MS + 1);
    let wanted = device.session.manifest(RELEASE).unwrap();
    device.outputs();
    assert!(device.session.asks_again(&wanted));
    let again = [(true, Topic::Root(2)), (true, Topic::Release(RELEASE))];
    assert_eq!(topics(&device.outputs()), again);
    assert_eq!(device.session.manifest(RELEASE), Some(wanted.clone()));
    assert!(!device.session.asks_again(&wanted));
}
