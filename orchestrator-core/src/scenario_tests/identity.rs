//! Who a device is: a key in the place of the pinned one, and two devices that are one.

use super::*;
use crate::api::command::{DeviceApprove, DeviceShow, DeviceWhy};
use crate::model::effect::Event;
use crate::reply::Identity;

const PINNED: PublicKey = PublicKey([1; 32]);
const OTHER: PublicKey = PublicKey([2; 32]);
const MINUTE_MS: u64 = 60_000;

impl World {
    fn shows(&mut self, key: Option<PublicKey>) -> Effects {
        self.tell(Input::Info {
            device: "d1".parse().unwrap(),
            info: Box::new(DeviceInfo {
                public_key: key,
                ..DeviceInfo::default()
            }),
        })
    }

    fn born(&mut self, session: u64) -> Effects {
        self.presence(PresenceState::Online, session)
    }

    fn dies(&mut self, session: u64) -> Effects {
        self.presence(PresenceState::Offline, session)
    }

    fn presence(&mut self, state: PresenceState, session: u64) -> Effects {
        self.tell(Input::Presence {
            device: "d1".parse().unwrap(),
            presence: Presence {
                state,
                session: SessionCounter(session),
            },
            delivered: Delivered::Live,
        })
    }

    /// Two that were one begin a session in turn, and so end each other's.
    fn turns(&mut self, count: u64) -> Effects {
        let mut effects = Vec::new();
        for session in 1..=count {
            effects.extend(self.born(session));
            self.pass(15_000);
            effects.extend(self.dies(session));
            effects.extend(self.born(session));
            self.pass(15_000);
        }
        effects
    }

    fn identity(&self) -> Option<Identity> {
        let device: String = "d1".into();
        let show = DeviceShow {
            device: device.clone(),
        };
        let ResultBody::DeviceDetail(shown) = self.answer(&Command::DeviceShow(show)) else {
            panic!("no device")
        };
        let why = DeviceWhy {
            device,
            deployment: None,
        };
        let ResultBody::DeviceWhy(why) = self.answer(&Command::DeviceWhy(why)) else {
            panic!("no reason")
        };
        assert_eq!(why.identity, shown.identity);
        shown.identity
    }

    fn approve(&mut self, fingerprint: Option<&str>) -> Answer {
        self.order(Command::DeviceApprove(DeviceApprove {
            device: "d1".into(),
            fingerprint: fingerprint.map(str::to_owned),
            dry_run: false,
        }))
    }
}

fn code(identity: Option<Identity>) -> String {
    identity.map(|it| it.code).unwrap_or_default()
}

fn refused(answer: &Answer) -> Code {
    match answer {
        Answer::Refused(rejection) => rejection.code,
        other => panic!("{other:?}"),
    }
}

fn suspicions(effects: &Effects) -> usize {
    let is_one = |effect: &&Effect| {
        matches!(
            effect,
            Effect::Event(Event::CloneSuspected { .. })
                | Effect::Rejected {
                    code: Code::Clone,
                    ..
                }
        )
    };
    effects.iter().filter(is_one).count()
}

#[test]
fn another_key_is_not_believed_until_it_is_approved() {
    let mut world = World::with_devices(&["d1"]);
    world.shows(Some(PINNED));
    assert_eq!(world.identity(), None);
    world.shows(Some(OTHER));
    let doubt = world.identity().unwrap();
    assert_eq!(doubt.code, "E_REENROL");
    assert!(doubt.says.contains(&OTHER.fingerprint()), "{}", doubt.says);
    let command = format!(
        "hoist device approve d1 --fingerprint {}",
        OTHER.fingerprint()
    );
    assert!(doubt.next.contains(&command), "{}", doubt.next);
    assert_eq!(world.device_row("d1").public_key, Some(PINNED));

    let resync = world.resync("d1");
    let fingerprint = OTHER.fingerprint();
    let approved = world.approve(Some(&fingerprint));
    let device: DeviceId = "d1".parse().unwrap();
    let expected = Answer::DeviceApproved {
        device,
        fingerprint: fingerprint.clone(),
    };
    assert_eq!(approved, expected);
    assert_eq!(world.device_spec("d1").public_key, Some(OTHER));
    assert_eq!(world.identity(), None);
    assert_eq!(
        world.resync("d1"),
        resync + 1,
        "it says again what was not believed"
    );
    assert_eq!(world.approve(Some(&fingerprint)), expected, "twice is once");
    // Now the old one is the other.
    world.shows(Some(PINNED));
    assert_eq!(code(world.identity()), "E_REENROL");
}

#[test]
fn only_the_key_on_offer_can_be_approved() {
    let mut world = World::with_devices(&["d1"]);
    world.shows(Some(PINNED));
    assert_eq!(refused(&world.approve(None)), Code::NotOffered);
    world.shows(Some(OTHER));
    let other = OTHER.fingerprint();
    for wrong in [&other[..7], &PINNED.fingerprint()[..8], "", "zzzzzzzz"] {
        assert_eq!(refused(&world.approve(Some(wrong))), Code::NotOffered);
    }
    assert_eq!(refused(&world.approve(None)), Code::NotOffered);
    assert_eq!(world.device_row("d1").public_key, Some(PINNED));
    world.approve(Some(&other[..8].to_uppercase()));
    assert_eq!(world.device_row("d1").public_key, Some(OTHER));
}

#[test]
fn a_replaced_board_that_shows_itself_again_is_not_let_in_by_an_approval_that_names_no_key() {
    let mut world = World::with_devices(&["d1"]);
    world.shows(Some(PINNED));
    world.shows(Some(OTHER));
    world.approve(Some(&OTHER.fingerprint()));
    world.shows(Some(PINNED));
    let Answer::Refused(refusal) = world.approve(None) else {
        panic!("whoever has the old board is in again")
    };
    assert_eq!(refusal.code, Code::NotOffered);
    assert_eq!(refusal.field.as_deref(), Some("fingerprint"));
    let print = PINNED.fingerprint();
    let command = format!("`hoist device approve d1 --fingerprint {print}`");
    assert!(refusal.hint.unwrap().contains(&command));
    assert_eq!(world.device_row("d1").public_key, Some(OTHER));
}

#[test]
fn a_removed_device_that_is_added_again_may_show_any_key() {
    let mut world = World::with_devices(&["d1"]);
    world.shows(Some(PINNED));
    world.shows(Some(OTHER));
    world.remove("d1");
    world.add_device("d1");
    world.shows(Some(OTHER));
    assert_eq!(world.device_row("d1").public_key, Some(OTHER));
    assert_eq!(world.identity(), None);
}

#[test]
fn two_that_take_turns_are_told_of_once() {
    let mut world = World::with_devices(&["d1"]);
    let effects = world.turns(2);
    assert_eq!((suspicions(&effects), world.identity()), (0, None));
    let effects = world.turns(20);
    assert_eq!(suspicions(&effects), 2, "one event and one line in the log");
    assert_eq!(code(world.identity()), "E_CLONE");
    // One of them is taken away.
    for session in 100..200 {
        world.born(session);
        world.pass(MINUTE_MS);
        world.dies(session);
    }
    assert_eq!(world.identity(), None);
}

#[test]
fn a_copy_that_is_older_is_found_too() {
    let mut world = World::with_devices(&["d1"]);
    let mut effects = Vec::new();
    for turn in 0..4 {
        effects.extend(world.born(500 + turn));
        effects.extend(world.dies(500 + turn));
        effects.extend(world.born(20 + turn));
        effects.extend(world.dies(20 + turn));
        world.pass(20_000);
    }
    assert_eq!(suspicions(&effects), 2);
}

#[test]
fn two_that_show_their_keys_in_turn_are_told_of_once() {
    let mut world = World::with_devices(&["d1"]);
    world.shows(Some(PINNED));
    let mut effects = Vec::new();
    for _ in 0..50 {
        effects.extend(world.shows(Some(OTHER)));
        effects.extend(world.shows(Some(PINNED)));
        world.pass(10_000);
    }
    assert_eq!(suspicions(&effects), 2);
    let changed =
        |effect: &&Effect| matches!(effect, Effect::Event(Event::DeviceKeyChanged { .. }));
    assert!(effects.iter().filter(changed).count() < 3);
    assert_eq!(code(world.identity()), "E_CLONE");
}

#[test]
fn one_device_is_never_taken_for_two() {
    let mut world = World::with_devices(&["d1"]);
    let mut effects = Vec::new();
    for session in 1..40 {
        // Births, deaths and both again, as a broker delivers them after a lost connection.
        for _ in 0..2 {
            effects.extend(world.born(session));
        }
        effects.extend(world.dies(session));
        if session % 20 == 0 {
            effects.extend(world.born(session));
            effects.extend(world.dies(session));
        }
        world.pass(30_000);
    }
    // A restored backup: everything it says is old for a while.
    for session in 1..40 {
        effects.extend(world.born(session));
        effects.extend(world.dies(session));
        world.pass(5_000);
    }
    assert_eq!((suspicions(&effects), world.identity()), (0, None));
}

#[test]
fn an_outcome_that_comes_before_the_key_is_asked_for_again_and_no_offence() {
    // A device that is registered afresh repeats what it last said before it shows its key.
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let early = |world: &mut World| {
        world.tell(Input::Status {
            device: "d1".parse().unwrap(),
            status: done(1, id),
            evidence: SignatureEvidence::Invalid,
            delivered: Delivered::Live,
        })
    };
    assert_eq!(early(&mut world), []);
    let before = world.resync("d1");
    world.shows(Some(PINNED));
    assert!(world.resync("d1") > before);
    // One that goes on like that without a key is seen.
    let mut world = World::with_devices(&["d1"]);
    world.deploy("fw@1.0.0");
    early(&mut world);
    assert!(rejects(&early(&mut world), Code::Signature));
}
