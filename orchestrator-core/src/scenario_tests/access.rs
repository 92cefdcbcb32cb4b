//! Devices that are revoked and come back, and tokens that are replaced.

use super::*;
use crate::api::command::{self, DeviceRevoke, DeviceTokenRotate, DeviceWhy};
use crate::engine::check::Check;
use crate::model::key::RevokedKey;
use crate::model::row::{Access, GroupCountRow, Revocation};
use crate::reply::{PresenceWord, Why};

const HOUR_MS: u64 = 60 * 60 * 1_000;

impl World {
    fn shut_device_out(&mut self, device: &str, reason: &str) -> Effects {
        let revoke = self.input(Command::DeviceRevoke(DeviceRevoke {
            device: device.into(),
            reason: Some(reason.into()),
            dry_run: false,
        }));
        self.tell(Input::Command(Box::new(revoke)))
    }

    fn rotate(&mut self, device: &str, overlap_secs: Option<u64>) -> Effects {
        let rotate = self.input(Command::DeviceTokenRotate(DeviceTokenRotate {
            device: device.into(),
            overlap_secs,
            dry_run: false,
        }));
        self.tell(Input::Command(Box::new(rotate)))
    }

    fn shut_out(&self, device: &str) -> Revocation {
        let key = RevokedKey(device.parse().unwrap());
        let row = self.rows.read(&key).unwrap();
        row.map(|row| row.revocation()).unwrap_or_default()
    }

    fn members(&self) -> GroupCountRow {
        let key = GroupCountKey("eu".parse().unwrap());
        self.rows.read(&key).unwrap().unwrap()
    }
}

/// Every row fits to every other.
fn fits(world: &World) {
    let mut check = Check::default();
    for (key, bytes) in world.rows.scan(&Key(Vec::new())) {
        check.row(key, bytes);
    }
    let (_, findings) = check.finish();
    assert_eq!(findings.listed, []);
}

fn codes(effects: &Effects) -> Vec<Code> {
    let code = |effect: &Effect| match effect {
        Effect::Rejected { code, .. } => Some(*code),
        _ => None,
    };
    effects.iter().filter_map(code).collect()
}

#[test]
fn a_revoked_device_is_out_with_everything_it_had_and_stays_listed_with_its_history() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", PresenceState::Online, 1);
    world.say("d1", working(1, id, Step::Downloading(0)));
    let effects = world.shut_device_out("d1", "stolen");
    let until = Revocation {
        issue: 1,
        tokens: 0,
        certificates: 0,
        at_ms: world.now.unix_ms,
    };
    let device: DeviceId = "d1".parse().unwrap();
    let place = |wanted: &Effect| effects.iter().position(|effect| effect == wanted);
    let turned_out = place(&Effect::DeviceRevoked {
        device: device.clone(),
        until,
    });
    let cleared = place(&Effect::DeviceSpecChanged(device));
    assert!(turned_out.is_some() && turned_out < cleared, "{effects:?}");
    assert_eq!(world.shut_out("d1"), until);
    let count = world.members();
    assert_eq!((count.members, count.online, count.revoked), (1, 0, 1));

    let item = world.item(id, "d1");
    assert_eq!(item.presence, PresenceWord::Offline);
    assert_eq!(item.status, Some(StatusWord::InProgress));
    let revoked = item.revoked.as_ref().unwrap();
    assert_eq!(
        (revoked.by.as_str(), revoked.reason.as_str()),
        ("alice", "stolen")
    );
    // Once more changes nothing, nor the reason.
    assert_eq!(world.shut_device_out("d1", "lost").len(), 0);
    fits(&world);
}

#[test]
fn nothing_that_a_revoked_device_says_is_taken_in() {
    // bad-inputs row 24
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.heard("d1", PresenceState::Online, 1);
    world.say("d1", working(3, id, Step::Downloading(0)));
    let recorded = world.record(id, "d1");
    world.shut_device_out("d1", "");
    let before = world.device_row("d1");
    let presence = |world: &mut World, state| world.hears("d1", (state, 2), Delivered::Live);
    // Newer, the same, and older; also what the broker kept, which would count from a lower number.
    for (seq, delivered) in [
        (4, Delivered::Live),
        (3, Delivered::Kept),
        (1, Delivered::Live),
        (1, Delivered::Kept),
    ] {
        let status = working(seq, id, Step::Installing);
        let said = world.tell(Input::Status {
            device: "d1".parse().unwrap(),
            status,
            evidence: SignatureEvidence::Valid,
            delivered,
        });
        assert_eq!(codes(&said), [Code::Revoked], "{seq} {delivered:?}");
        assert!(
            !said.iter().any(|it| matches!(it, Effect::ReadStatus(_))),
            "{said:?}"
        );
    }
    let born = presence(&mut world, PresenceState::Online);
    assert_eq!(codes(&born), [Code::Revoked]);
    assert_eq!(codes(&presence(&mut world, PresenceState::Offline)), []);
    let told = world.tell(Input::Info {
        device: "d1".parse().unwrap(),
        info: Box::new(DeviceInfo::default()),
    });
    assert_eq!(codes(&told), [Code::Revoked]);
    assert_eq!(world.device_row("d1"), before);
    assert_eq!(world.record(id, "d1"), recorded);
}

#[test]
fn another_token_lets_a_revoked_device_in_again_which_is_asked_to_report_everything() {
    let mut world = World::with_devices(&["d1"]);
    world.shut_device_out("d1", "");
    let resync = world.device_row("d1").resync;
    world.rotate("d1", None);
    let row = world.device_row("d1");
    assert_eq!((row.issue, &row.access), (2, &Access::Current));
    assert_ne!(row.resync, resync);
    assert!(world.shut_out("d1").ends_token(1));
    assert!(!world.shut_out("d1").ends_token(2));
    assert_eq!(world.members().revoked, 0);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(
        codes(&world.say("d1", working(1, id, Step::Installing))),
        []
    );
    fits(&world);
}

#[test]
fn a_held_device_that_was_revoked_comes_back_held() {
    let mut world = World::with_devices(&["d1"]);
    world.hold("d1", true);
    world.shut_device_out("d1", "");
    let count = world.members();
    assert_eq!((count.held, count.revoked), (0, 1));
    world.rotate("d1", None);
    let count = world.members();
    assert_eq!((count.held, count.revoked), (1, 0));
    assert!(world.device_row("d1").held);
    world.shut_device_out("d1", "");
    world.remove("d1");
    let count = world.members();
    assert_eq!((count.members, count.held, count.revoked), (0, 0, 0));
    fits(&world);
}

#[test]
fn a_revoked_device_takes_no_slot_of_a_limit_and_a_plan_says_why() {
    let mut world = World::with_devices(&["d1", "d2"]);
    world.shut_device_out("d1", "");
    let wish = Deploy {
        limit: Some(Limit {
            devices: Some(2),
            until: None,
        }),
        ..deploy("fw@1.0.0")
    };
    let ResultBody::Planned(planned) = world.answer(&Command::Plan(command::Plan(wish))) else {
        panic!("not a plan")
    };
    let plan = &planned.plans[0];
    assert_eq!((plan.members, plan.eligible), (2, 1));
    let why: Vec<_> = plan.excluded.iter().map(|it| (it.why, it.count)).collect();
    assert_eq!(why, [(Why::Revoked, 1)]);
}

#[test]
fn the_token_before_is_good_for_the_overlap_and_no_longer() {
    let mut world = World::with_devices(&["d1"]);
    let effects = world.rotate("d1", None);
    let turned_out = |effect: &Effect| matches!(effect, Effect::Replaced { .. });
    assert!(!effects.iter().any(turned_out), "{effects:?}");
    assert!(!world.shut_out("d1").ends_token(1));
    assert_eq!(world.device_row("d1").issue, 2);
    world.pass(HOUR_MS - 1);
    world.fire_due();
    assert!(!world.shut_out("d1").ends_token(1));
    world.pass(1);
    world.fire_due();
    let until = world.shut_out("d1");
    assert_eq!((until.issue, until.tokens), (0, 1), "certificates stay");
    assert!(until.ends_token(1) && !until.ends_token(2));
    assert_eq!(world.device_row("d1").access, Access::Current);
}

#[test]
fn without_an_overlap_and_by_the_next_rotation_a_token_ends_at_once() {
    let mut world = World::with_devices(&["d1"]);
    let effects = world.rotate("d1", Some(0));
    let turned_out = |effect: &Effect| matches!(effect, Effect::Replaced { .. });
    assert!(effects.iter().any(turned_out), "{effects:?}");
    assert!(world.shut_out("d1").ends_token(1));
    world.rotate("d1", Some(10));
    world.rotate("d1", Some(20));
    let until = world.shut_out("d1");
    assert!(until.ends_token(2) && !until.ends_token(3));
    // The end of the first overlap is over with it.
    world.pass(10_000);
    world.fire_due();
    assert!(!world.shut_out("d1").ends_token(3));
    world.pass(10_000);
    world.fire_due();
    assert!(world.shut_out("d1").ends_token(3));
    assert!(!world.shut_out("d1").ends_token(4));
}

#[test]
fn a_revoked_device_is_not_registered_again_by_the_same_words() {
    let mut world = World::with_devices(&["d1"]);
    world.shut_device_out("d1", "");
    match world.add_device("d1") {
        Answer::Refused(refusal) => {
            assert_eq!(refusal.code, Code::Revoked);
            assert!(refusal.hint.unwrap().contains("device token rotate d1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revoked_device_is_told_apart_from_every_other_reason_to_start_nothing() {
    let mut world = World::with_devices(&["d1"]);
    world.heard("d1", PresenceState::Online, 1);
    let id = world.deploy("fw@1.0.0");
    world.shut_device_out("d1", "stolen");
    let wish = DeviceWhy {
        device: "d1".into(),
        deployment: Some(id.0),
    };
    let ResultBody::DeviceWhy(why) = world.answer(&Command::DeviceWhy(wish)) else {
        panic!("not why")
    };
    assert_eq!(why.revoked.unwrap().by, "alice");
    let explained = &why.deployments[0];
    assert_eq!(explained.why, Why::Revoked);
    assert!(explained.says.ends_with(": stolen"), "{explained:?}");
    assert!(
        explained.next.contains("hoist device token rotate d1"),
        "{explained:?}"
    );
}
