//! Devices that wait for approval.

use super::*;
use crate::api::command::DeviceRemove;
use crate::model::key::WaitingCountKey;
use crate::model::row::{WAITING_MAX, WAITING_OF_CLAIM_MAX, WaitingCountRow};

fn with_approval() -> EnrollCreate {
    EnrollCreate {
        approval: true,
        ..EnrollCreate::default()
    }
}

impl World {
    fn counted(&self) -> Option<WaitingCountRow> {
        self.rows.read(&WaitingCountKey).unwrap()
    }

    fn revoke(&mut self, claim: &ClaimId) {
        self.order(Command::EnrollRevoke(EnrollRevoke {
            claim: claim.to_string(),
            dry_run: false,
        }));
    }
}

#[test]
fn an_unknown_device_waits_for_approval_by_its_fingerprint_and_is_forgotten_after_a_week() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        approval: true,
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Pending));
    assert_eq!(world.enrolls("d2", 2, Some(&claim)), Err(Code::Pending));
    assert_eq!(world.waiting(), 2);
    assert_eq!(refused(world.approve_key("d1", None)), Code::NotOffered);
    let other = key(9).fingerprint();
    assert_eq!(
        refused(world.approve_key("d1", Some(other))),
        Code::NotOffered
    );
    world.approve_key("d1", Some(key(1).fingerprint()));
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    assert_eq!(world.device_row("d1").group.as_str(), "eu");
    assert_eq!(world.waiting(), 1);
    world.pass(8 * DAY_MS);
    world.fire_due();
    assert_eq!(world.waiting(), 0);
    let count = world.rows.read(&WaitingCountKey).unwrap();
    assert_eq!(count, Some(WaitingCountRow { waiting: 0 }));
}

#[test]
fn one_device_more_than_may_wait_is_refused_and_one_claim_keeps_no_others_out() {
    // bad-inputs row 72
    let mut world = World::with_devices(&[]);
    let greedy = world.claim(with_approval());
    for number in 0..WAITING_OF_CLAIM_MAX {
        let asked = world.enrolls(&format!("d{number}"), 1, Some(&greedy));
        assert_eq!(asked, Err(Code::Pending));
    }
    let late = |world: &mut World, claim| world.enrolls("late", 1, Some(claim));
    assert_eq!(late(&mut world, &greedy), Err(Code::EnrollFull));
    assert_eq!(
        world.enrolls("d0", 1, Some(&greedy)),
        Err(Code::Pending),
        "it waits already"
    );
    let claims = [(); 3].map(|()| world.claim(with_approval()));
    for (claim, number) in claims.iter().flat_map(|claim| {
        let numbers = 0..WAITING_OF_CLAIM_MAX;
        numbers.map(move |number| (claim, number))
    }) {
        let asked = world.enrolls(&format!("{claim}-{number}"), 1, Some(claim));
        assert_eq!(asked, Err(Code::Pending));
    }
    let waiting = WAITING_MAX;
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting }));
    let other = world.claim(with_approval());
    assert_eq!(late(&mut world, &other), Err(Code::EnrollFull));
    world.approve_key("d0", Some(key(1).fingerprint()));
    assert_eq!(late(&mut world, &other), Err(Code::Pending));
}

#[test]
fn a_claim_that_is_revoked_sends_all_away_that_wait_by_it() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(with_approval());
    let other = world.claim(with_approval());
    for device in ["d1", "d2"] {
        assert_eq!(world.enrolls(device, 1, Some(&claim)), Err(Code::Pending));
    }
    assert_eq!(world.enrolls("d3", 1, Some(&other)), Err(Code::Pending));
    world.revoke(&claim);
    assert_eq!(world.waiting(), 1);
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 1 }));
    let approved = world.approve_key("d1", Some(key(1).fingerprint()));
    assert_eq!(refused(approved), Code::Device);
    // It may come by another one.
    assert_eq!(world.enrolls("d1", 1, Some(&other)), Err(Code::Pending));
    assert_eq!(world.waiting(), 2);
    world.pass(8 * DAY_MS);
    world.fire_due();
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 0 }));
}

#[test]
fn a_device_that_waits_is_sent_away_by_removing_it_and_one_that_is_registered_waits_no_longer() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(with_approval());
    let removed = |world: &mut World, device: &str| {
        world.order(Command::DeviceRemove(DeviceRemove {
            device: device.into(),
            dry_run: false,
        }))
    };
    for device in ["d1", "d2"] {
        assert_eq!(world.enrolls(device, 1, Some(&claim)), Err(Code::Pending));
    }
    assert!(matches!(
        removed(&mut world, "d1"),
        Answer::DeviceRemoved { .. }
    ));
    assert_eq!(world.waiting(), 1);
    assert_eq!(refused(removed(&mut world, "d1")), Code::Device);
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "d2".into(),
        ..DeviceAdd::default()
    }));
    assert_eq!(world.waiting(), 0);
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 0 }));
}

#[test]
fn another_key_of_a_known_device_is_listed_until_it_is_approved_or_the_pinned_one_speaks() {
    // bad-inputs row 36
    let mut world = World::with_devices(&["d1"]);
    let claim = world.claim(EnrollCreate {
        uses: Some(5),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Reenrol));
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Reenrol));
    assert_eq!(world.waiting(), 1);
    let approved = world.approve_key("d1", Some(key(2).fingerprint()));
    assert!(
        matches!(approved, Answer::DeviceApproved { .. }),
        "{approved:?}"
    );
    assert_eq!(world.waiting(), 0);
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Reenrol));
    assert_eq!(world.waiting(), 1);
    world.remove("d1");
    assert_eq!(world.waiting(), 0);
}

#[test]
fn a_claim_that_expired_is_told_for_a_month_and_then_forgotten() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(with_approval());
    world.pass(36 * DAY_MS);
    world.fire_due();
    assert_eq!(
        world.enrolls("d1", 1, Some(&claim)),
        Err(Code::ClaimExpired)
    );
    world.pass(2 * DAY_MS);
    world.fire_due();
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Claim));
    // One that was revoked leaves no timer behind.
    let claim = world.claim(with_approval());
    world.revoke(&claim);
    world.pass(60 * DAY_MS);
    world.fire_due();
}
