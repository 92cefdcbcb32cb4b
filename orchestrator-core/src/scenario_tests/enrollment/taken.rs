//! Keys that whoever took a device has, and claims beside a key that is known.

use super::*;
use crate::api::command::DeviceTokenRotate;

#[test]
fn the_key_of_a_revoked_device_is_not_good_by_another_token_before_somebody_approves_it() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    world.order(Command::DeviceRevoke(DeviceRevoke {
        device: "d1".into(),
        ..DeviceRevoke::default()
    }));
    world.order(Command::DeviceTokenRotate(DeviceTokenRotate {
        device: "d1".into(),
        ..DeviceTokenRotate::default()
    }));
    assert!(world.device_row("d1").revoked().is_none());
    // Whoever took the device has its key.
    assert_eq!(world.enrolls("d1", 1, None), Err(Code::Revoked));
    for _ in 0..2 {
        assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Revoked));
    }
    assert_eq!(world.waiting(), 1);
    let approved = world.approve_key("d1", Some(key(1).fingerprint()));
    assert!(
        matches!(approved, Answer::DeviceApproved { .. }),
        "{approved:?}"
    );
    assert!(world.enrolls("d1", 1, None).is_ok());
    assert!(world.enrolls("d1", 1, Some(&claim)).is_ok());
}

#[test]
fn the_key_of_a_removed_device_is_pinned_by_no_claim_when_its_name_is_registered_again() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    world.remove("d1");
    world.add_device("d1");
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Revoked));
    assert_eq!(world.device_row("d1").public_key, None);
    // The board in its place.
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Ok(2));
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Reenrol));
}

#[test]
fn a_claim_that_is_named_has_to_be_good_also_beside_the_pinned_key() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(1),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    // Used up by this device itself, which asks again.
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    let unproven = EnrollAsk {
        claimed: false,
        ..ask("d1", 1, Some(&claim))
    };
    assert_eq!(world.asks(unproven), Err(Code::Claim));
    world.pass(8 * DAY_MS);
    assert_eq!(
        world.enrolls("d1", 1, Some(&claim)),
        Err(Code::ClaimExpired)
    );
    let revoke = EnrollRevoke {
        claim: claim.to_string(),
        dry_run: false,
    };
    world.order(Command::EnrollRevoke(revoke));
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Claim));
    assert_eq!(
        world.enrolls("d1", 1, None),
        Ok(1),
        "to renew it needs none"
    );
}
