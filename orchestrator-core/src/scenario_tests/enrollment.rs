//! Devices that register themselves by a claim.

use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::ClaimId;

use super::*;
use crate::api::command::{
    DeviceApprove, DeviceRevoke, EnrollCreate, EnrollList, EnrollRevoke, EnrollWaiting,
};
use crate::model::effect::Sender;
use crate::model::enroll::{EnrollAsk, EnrollOutcome};
use crate::model::key::ClaimKey;

mod taken;
mod waiting;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn key(seed: u8) -> PublicKey {
    PrivateKey::from_seed(&[seed; 32]).public()
}

/// The answer that a device gets: its issue, or the code that it is refused with.
type Answered = Result<u32, Code>;

impl World {
    fn claim(&mut self, create: EnrollCreate) -> ClaimId {
        let group = Some("eu".to_owned());
        match self.order(Command::EnrollCreate(EnrollCreate { group, ..create })) {
            Answer::ClaimCreated { claim, .. } => claim,
            other => panic!("{other:?}"),
        }
    }

    fn used(&self, claim: &ClaimId) -> u32 {
        let row = self.rows.read(&ClaimKey(claim.clone())).unwrap();
        row.unwrap().used
    }

    fn asks(&mut self, ask: EnrollAsk) -> Answered {
        let effects = self.tell(Input::Enroll(Box::new(ask)));
        let answered = effects.into_iter().find_map(|effect| match effect {
            Effect::EnrollAnswered { outcome, .. } => Some(outcome),
            _ => None,
        });
        match answered.unwrap() {
            EnrollOutcome::Certify { issue, .. } => Ok(issue),
            EnrollOutcome::Refused(why) | EnrollOutcome::Waits(why) => Err(why.code),
        }
    }

    /// A device asks with the key of a seed.
    fn enrolls(&mut self, device: &str, seed: u8, claim: Option<&ClaimId>) -> Answered {
        self.asks(ask(device, seed, claim))
    }

    fn approve_key(&mut self, device: &str, fingerprint: Option<String>) -> Answer {
        self.order(Command::DeviceApprove(DeviceApprove {
            device: device.to_owned(),
            fingerprint,
            dry_run: false,
        }))
    }

    fn waiting(&self) -> usize {
        match self.answer(&Command::EnrollWaiting(EnrollWaiting::default())) {
            ResultBody::Waiting(list) => list.items.len(),
            other => panic!("{other:?}"),
        }
    }
}

fn ask(device: &str, seed: u8, claim: Option<&ClaimId>) -> EnrollAsk {
    let device: DeviceId = device.parse().unwrap();
    EnrollAsk {
        named: device.clone(),
        device,
        key: key(seed),
        nonce: [0; 16],
        device_type: String::new(),
        claim: claim.cloned(),
        proven: true,
        claimed: claim.is_some(),
        is_user: false,
    }
}

fn refused(answer: Answer) -> Code {
    match answer {
        Answer::Refused(rejection) => rejection.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_registers_by_a_claim_and_a_repeat_is_the_same_and_no_second_use() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(2),
        ..EnrollCreate::default()
    });
    for _ in 0..3 {
        assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    }
    assert_eq!(world.used(&claim), 1);
    let row = world.device_row("d1");
    assert_eq!((row.group.as_str(), row.public_key), ("eu", Some(key(1))));
    assert_eq!(world.enrolls("d2", 2, Some(&claim)), Ok(1));
    // bad-inputs row 72
    assert_eq!(world.enrolls("d3", 3, Some(&claim)), Err(Code::ClaimUsed));
    assert_eq!(
        world.enrolls("d1", 1, Some(&claim)),
        Ok(1),
        "it is known by its key"
    );
    // To renew, its key is enough, also when the claim is gone.
    let revoke = EnrollRevoke {
        claim: claim.to_string(),
        dry_run: false,
    };
    world.order(Command::EnrollRevoke(revoke));
    world.pass(60 * DAY_MS);
    assert_eq!(world.enrolls("d1", 1, None), Ok(1));
    assert_eq!(world.enrolls("d4", 4, Some(&claim)), Err(Code::Claim));
}

#[test]
fn what_proves_nothing_or_is_for_others_is_refused_each_with_its_own_code() {
    // bad-inputs row 72
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        ids: Some("pump-*".into()),
        ..EnrollCreate::default()
    });
    let good = || ask("pump-1", 1, Some(&claim));
    let cases = [
        (
            Code::EnrollName,
            EnrollAsk {
                named: "pump-2".parse().unwrap(),
                ..good()
            },
        ),
        (
            Code::WeakKey,
            EnrollAsk {
                key: PublicKey([0; 32]),
                ..good()
            },
        ),
        (
            Code::Signature,
            EnrollAsk {
                proven: false,
                ..good()
            },
        ),
        (
            Code::Claim,
            EnrollAsk {
                claimed: false,
                ..good()
            },
        ),
        (Code::ClaimDevice, ask("valve-1", 1, Some(&claim))),
        (Code::Unknown, ask("pump-1", 1, None)),
    ];
    for (code, asked) in cases {
        assert_eq!(world.asks(asked), Err(code));
    }
    assert_eq!(world.used(&claim), 0);
    world.pass(7 * DAY_MS);
    assert_eq!(world.asks(good()), Err(Code::ClaimExpired));
}

#[test]
fn a_claim_pins_the_first_key_of_a_device_of_its_own_group_alone() {
    let mut world = World::with_devices(&["d1"]);
    world.order(Command::GroupCreate(GroupCreate {
        group: "us".into(),
        selector: None,
        dry_run: false,
    }));
    let claim = match world.order(Command::EnrollCreate(EnrollCreate {
        group: Some("us".into()),
        ..EnrollCreate::default()
    })) {
        Answer::ClaimCreated { claim, .. } => claim,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::ClaimDevice));
    assert_eq!(world.device_row("d1").public_key, None);
    assert_eq!(world.used(&claim), 0);
}

#[test]
fn names_that_somebody_makes_up_are_one_sender_of_refusals() {
    // bad-inputs row 87
    let mut world = World::with_devices(&["d1"]);
    let claim: ClaimId = "c-1".parse().unwrap();
    for (device, is_known) in [("made-up", false), ("d1", true)] {
        let effects = world.tell(Input::Enroll(Box::new(ask(device, 1, Some(&claim)))));
        let sender = effects.into_iter().find_map(|effect| match effect {
            Effect::Rejected { sender, .. } => Some(sender),
            _ => None,
        });
        assert_eq!(sender != Some(Sender::Nobody), is_known, "{sender:?}");
    }
}

#[test]
fn a_second_key_is_refused_until_somebody_approves_it() {
    // bad-inputs rows 36 and 72
    let mut world = World::with_devices(&["d1"]);
    let claim = world.claim(EnrollCreate {
        uses: Some(5),
        ..EnrollCreate::default()
    });
    assert_eq!(
        world.enrolls("d1", 1, Some(&claim)),
        Ok(1),
        "the first key is pinned"
    );
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Reenrol));
    assert_eq!(world.enrolls("d1", 2, None), Err(Code::Reenrol));
    assert_eq!(world.device_row("d1").public_key, Some(key(1)));
    let approved = world.approve_key("d1", Some(key(2).fingerprint()));
    assert!(
        matches!(approved, Answer::DeviceApproved { .. }),
        "{approved:?}"
    );
    assert_eq!(
        world.enrolls("d1", 2, Some(&claim)),
        Ok(2),
        "those of the board before are worth nothing"
    );
    assert_eq!(
        world.enrolls("d1", 1, None),
        Err(Code::Reenrol),
        "the old board"
    );
    assert_eq!(world.used(&claim), 1);
    // Certificates of a later life are told from those of both boards.
    world.remove("d1");
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Err(Code::Pending));
    world.approve_key("d1", Some(key(2).fingerprint()));
    assert_eq!(world.enrolls("d1", 2, Some(&claim)), Ok(3));
}

#[test]
fn a_removed_device_does_not_come_back_by_itself() {
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Ok(1));
    world.remove("d1");
    assert_eq!(world.enrolls("d1", 1, None), Err(Code::Unknown));
    assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Pending));
    world.approve_key("d1", Some(key(1).fingerprint()));
    assert_eq!(
        world.enrolls("d1", 1, Some(&claim)),
        Ok(2),
        "the next issue"
    );
}

#[test]
fn a_claim_that_cannot_be_is_refused_by_its_field_and_one_that_is_there_is_listed() {
    let mut world = World::with_devices(&[]);
    let wrong = |create: EnrollCreate| Command::EnrollCreate(create);
    let uses = |uses| EnrollCreate {
        uses: Some(uses),
        ..EnrollCreate::default()
    };
    let ids = |ids: &str| EnrollCreate {
        ids: Some(ids.into()),
        ..EnrollCreate::default()
    };
    let nowhere = EnrollCreate {
        group: Some("nowhere".into()),
        ..EnrollCreate::default()
    };
    for (create, code) in [
        (uses(0), Code::Command),
        (uses(2_000_000), Code::Command),
        (ids(""), Code::Name),
        (ids("a b"), Code::Name),
        (ids("*a*b*c*"), Code::Name),
        (nowhere, Code::Group),
    ] {
        assert_eq!(refused(world.order(wrong(create))), code);
    }
    let first = world.claim(uses(3));
    let second = world.claim(ids("pump-*"));
    let ResultBody::Claims(list) = world.answer(&Command::EnrollList(EnrollList::default())) else {
        panic!("no claims");
    };
    let listed: Vec<_> = list.items.iter().map(|item| item.claim.clone()).collect();
    assert_eq!(listed, [first.to_string(), second.to_string()]);
    assert_eq!(
        (list.items[0].uses, list.items[1].ids.as_str()),
        (3, "pump-*")
    );
}

#[test]
fn a_star_stands_for_any_text_and_for_none() {
    use crate::rules::enrollment::matches;
    for (pattern, id, is) in [
        ("*", "d1", true),
        ("pump-*", "pump-", true),
        ("pump-*", "valve-1", false),
        ("*-a-*", "x-a-y", true),
        ("*-a-*", "x-b-y", false),
        ("d1", "d1", true),
        ("d1", "d11", false),
    ] {
        assert_eq!(matches(pattern, id), is, "{pattern} {id}");
    }
}

#[test]
fn no_device_gets_the_name_of_a_user_or_of_the_servers_own_programs() {
    // bad-inputs row 71
    let mut world = World::with_devices(&[]);
    let claim = world.claim(EnrollCreate {
        uses: Some(9),
        ..EnrollCreate::default()
    });
    for name in ["vera", "orchestrator", "hoist-canary-1"] {
        let mut input = world.input(Command::DeviceAdd(DeviceAdd {
            device: name.into(),
            ..DeviceAdd::default()
        }));
        input.users = vec!["vera".into()];
        assert_eq!(refused(world.send(input)), Code::Name, "{name}");
        let asked = EnrollAsk {
            is_user: name == "vera",
            ..ask(name, 1, Some(&claim))
        };
        assert_eq!(world.asks(asked), Err(Code::Name), "{name}");
    }
    assert_eq!(world.used(&claim), 0);
    // Somebody got the name of a device while it waited for approval.
    let slow = world.claim(EnrollCreate {
        approval: true,
        ..EnrollCreate::default()
    });
    assert_eq!(world.enrolls("vera", 1, Some(&slow)), Err(Code::Pending));
    let mut input = world.input(Command::DeviceApprove(DeviceApprove {
        device: "vera".into(),
        fingerprint: Some(key(1).fingerprint()),
        dry_run: false,
    }));
    input.users = vec!["vera".into()];
    assert_eq!(refused(world.send(input)), Code::Name);
}

#[test]
fn a_revoked_device_gets_a_certificate_only_when_somebody_has_approved_it_again() {
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
    // Its key proves the device, and the device is what was revoked.
    assert_eq!(world.enrolls("d1", 1, None), Err(Code::Revoked));
    let print = key(1).fingerprint();
    assert_eq!(
        refused(world.approve_key("d1", Some(print.clone()))),
        Code::Revoked
    );
    for _ in 0..2 {
        assert_eq!(world.enrolls("d1", 1, Some(&claim)), Err(Code::Revoked));
    }
    // Whoever has the device has a claim too, and asks: that is not what somebody has looked at.
    assert_eq!(refused(world.approve_key("d1", None)), Code::NotOffered);
    assert!(world.device_row("d1").revoked().is_some());
    world.approve_key("d1", Some(print));
    assert_eq!(world.enrolls("d1", 1, None), Ok(2));
    assert_eq!(world.used(&claim), 1);
    assert!(world.device_row("d1").revoked().is_none());
}
