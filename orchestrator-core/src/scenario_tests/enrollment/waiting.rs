//! Devices that wait for approval.

use super::*;
use crate::api::command::DeviceRemove;
use crate::model::key::WaitingCountKey;
use crate::model::row::{
    WAITING_MAX, WAITING_OF_CLAIM_MAX, WAITING_OF_DEVICE_MAX, WaitingCountRow,
};

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
            waiting_only: false,
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

/// The fingerprints of those that wait, as people see them.
fn prints(world: &World) -> Vec<(String, String)> {
    match world.answer(&Command::EnrollWaiting(EnrollWaiting::default())) {
        ResultBody::Waiting(list) => {
            let items = list.items.into_iter();
            items.map(|item| (item.device, item.fingerprint)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn waits(device: &str, seed: u8) -> (String, String) {
    (device.to_owned(), key(seed).fingerprint())
}

#[test]
fn a_second_board_under_one_id_hides_no_first_and_each_is_approved_by_its_own_key() {
    // bad-inputs row 36
    let mut world = World::with_devices(&[]);
    let claim = world.claim(with_approval());
    let other = world.claim(with_approval());
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Pending));
    world.pass(1_000);
    assert_eq!(world.enrolls("d1", 2, Some(&other)), Err(Code::Pending));
    assert_eq!(world.enrolls("d1-b", 3, Some(&claim)), Err(Code::Pending));
    let all = [waits("d1", 1), waits("d1-b", 3), waits("d1", 2)];
    let mut seen = prints(&world);
    seen.sort();
    let mut expected = all.to_vec();
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 3 }));
    // Each asks again and again; nobody takes another's place.
    for seed in [1, 2, 1, 2] {
        let asked = world.enrolls("d1", seed, Some(if seed == 1 { &claim } else { &other }));
        assert_eq!(asked, Err(Code::Pending));
    }
    assert_eq!(prints(&world).len(), 3);
    assert_eq!(refused(world.approve_key("d1", None)), Code::NotOffered);
    world.approve_key("d1", Some(key(1).fingerprint()));
    assert_eq!(world.device_row("d1").public_key, Some(key(1)));
    assert_eq!((world.used(&claim), world.used(&other)), (1, 0));
    assert_eq!(prints(&world), [waits("d1-b", 3)]);
    // The other one is another key of a known device by now.
    assert_eq!(world.enrolls("d1", 2, Some(&other)), Err(Code::Reenrol));
    assert_eq!(prints(&world).len(), 2);
    // Nothing is forgotten before its own time, and everything then.
    world.pass(8 * DAY_MS);
    world.fire_due();
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 0 }));
    assert_eq!(world.waiting(), 0);
}

#[test]
fn more_boards_than_may_wait_under_one_id_are_refused_and_those_that_wait_stay() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(with_approval());
    let most = WAITING_OF_DEVICE_MAX;
    for seed in 1..=most {
        assert_eq!(world.enrolls("d1", seed, Some(&claim)), Err(Code::Pending));
    }
    let asked = ask("d1", most + 1, Some(&claim));
    let effects = world.tell(Input::Enroll(Box::new(asked)));
    let answered = effects.into_iter().find_map(|effect| match effect {
        Effect::EnrollAnswered { outcome, .. } => Some(outcome),
        _ => None,
    });
    let Some(EnrollOutcome::Refused(refusal)) = answered else {
        panic!("{answered:?}")
    };
    assert_eq!(refusal.code, Code::EnrollFull);
    assert!(
        refusal
            .hint
            .unwrap()
            .contains("`hoist device remove d1 --waiting`")
    );
    let expected: Vec<_> = (1..=most).map(|seed| waits("d1", seed)).collect();
    assert_eq!(prints(&world), expected);
    world.revoke(&claim);
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 0 }));
    // Those of a claim that is gone make room.
    world.pass(1);
    let other = world.claim(with_approval());
    assert_eq!(world.enrolls("d1", 9, Some(&other)), Err(Code::Pending));
    assert_eq!(prints(&world), [waits("d1", 9)]);
    assert_eq!(world.counted(), Some(WaitingCountRow { waiting: 1 }));
}

#[test]
fn two_boards_beside_the_pinned_one_are_both_seen_and_either_may_be_approved() {
    // bad-inputs row 36
    let mut world = World::with_devices(&["d1"]);
    let claim = world.claim(EnrollCreate {
        uses: Some(5),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    for seed in [2, 3] {
        assert_eq!(world.enrolls("d1", seed, Some(&claim)), Err(Code::Reenrol));
    }
    assert_eq!(prints(&world), [waits("d1", 2), waits("d1", 3)]);
    assert_eq!(world.device_row("d1").offered_key, Some(key(3)));
    let changes = |world: &mut World| {
        let asked = ask("d1", 2, Some(&claim));
        let effects = world.tell(Input::Enroll(Box::new(asked)));
        let told = |effect: &&Effect| matches!(effect, Effect::Event(_));
        effects.iter().filter(told).count()
    };
    assert_eq!(changes(&mut world), 0, "it is known already");
    world.approve_key("d1", Some(key(2).fingerprint()));
    assert_eq!(world.device_row("d1").public_key, Some(key(2)));
    assert_eq!(world.waiting(), 0);
}

#[test]
fn the_first_key_of_a_registered_device_may_be_approved_without_its_name_and_only_the_first() {
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    let claim = world.claim(with_approval());
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Reenrol));
    let approved = world.approve_key("d1", None);
    assert!(
        matches!(approved, Answer::DeviceApproved { .. }),
        "{approved:?}"
    );
    // Of two there is no such one.
    for seed in [1, 2] {
        assert_eq!(world.enrolls("d2", seed, Some(&claim)), Err(Code::Reenrol));
    }
    assert_eq!(refused(world.approve_key("d2", None)), Code::NotOffered);
    // Somebody has the board of the device's life before.
    world.remove("d3");
    world.add_device("d3");
    assert_eq!(world.enrolls("d3", 3, Some(&claim)), Err(Code::Reenrol));
    assert_eq!(refused(world.approve_key("d3", None)), Code::NotOffered);
    assert_eq!(world.device_row("d3").public_key, None);
}

#[test]
fn a_registered_device_that_is_listed_by_another_key_stays_when_only_that_is_sent_away() {
    let mut world = World::with_devices(&["d1"]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Reenrol));
    let slow = world.claim(with_approval());
    assert_eq!(world.enrolls("d2", 3, Some(&slow)), Err(Code::Pending));
    let ResultBody::Waiting(list) = world.answer(&Command::EnrollWaiting(EnrollWaiting::default()))
    else {
        panic!("no list")
    };
    let listed = list.items.iter().map(|it| (&*it.device, it.registered));
    assert_eq!(listed.collect::<Vec<_>>(), [("d1", true), ("d2", false)]);
    let send_away = |world: &mut World, device: &str| {
        world.order(Command::DeviceRemove(DeviceRemove {
            device: device.into(),
            waiting_only: true,
            dry_run: false,
        }))
    };
    for device in ["d1", "d2"] {
        let sent = send_away(&mut world, device);
        assert!(matches!(sent, Answer::DeviceRemoved { .. }), "{sent:?}");
    }
    assert_eq!(world.waiting(), 0);
    let row = world.device_row("d1");
    assert_eq!((row.public_key, row.offered_key), (Some(key(1)), None));
    assert_eq!(world.enrolls("d1", 1, None), Ok(1));
    assert_eq!(refused(send_away(&mut world, "d1")), Code::NotOffered);
    assert_eq!(refused(send_away(&mut world, "d2")), Code::Device);
}

#[test]
fn a_key_that_came_by_a_claim_is_on_offer_no_longer_than_that_is_there() {
    let mut world = World::with_devices(&["d1"]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Reenrol));
    world.revoke(&claim);
    let print = key(2).fingerprint();
    let approved = world.approve_key("d1", Some(print.clone()));
    assert_eq!(refused(approved), Code::NotOffered);
    assert_eq!(world.device_row("d1").public_key, Some(key(1)));
    // So of one that is revoked.
    let other = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    world.order(Command::DeviceRevoke(DeviceRevoke {
        device: "d1".into(),
        ..DeviceRevoke::default()
    }));
    assert_eq!(world.enrolls("d1", 2, Some(&other)), Err(Code::Revoked));
    world.revoke(&other);
    let approved = world.approve_key("d1", Some(print.clone()));
    assert_eq!(refused(approved), Code::Revoked);
    // By a claim that is there it may be approved.
    let third = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 2, Some(&third)), Err(Code::Revoked));
    let approved = world.approve_key("d1", Some(print));
    assert!(
        matches!(approved, Answer::DeviceApproved { .. }),
        "{approved:?}"
    );
}
