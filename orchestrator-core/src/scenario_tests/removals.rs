//! A device that is removed: its token is worth nothing, and the next one is another.

use super::*;
use crate::model::effect::Event;
use crate::model::key::RevokedKey;
use crate::model::row::Revocation;

fn issue(answer: &Answer) -> u32 {
    match answer {
        Answer::DeviceAdded { issue, .. } => *issue,
        other => panic!("not added: {other:?}"),
    }
}

fn revoked(world: &World, device: &str) -> Option<u32> {
    let key = RevokedKey(device.parse().unwrap());
    Some(world.rows.read(&key).unwrap()?.issue)
}

#[test]
fn a_removal_revokes_the_token_and_every_life_of_a_device_has_another() {
    let mut world = World::with_devices(&["d1"]);
    let first = issue(&world.add_device("d1"));
    assert_eq!(revoked(&world, "d1"), None);
    for life in first..first + 3 {
        world.remove("d1");
        assert_eq!(revoked(&world, "d1"), Some(life));
        assert_eq!(issue(&world.add_device("d1")), life + 1);
        let again = issue(&world.add_device("d1"));
        assert_eq!(again, life + 1, "the same device again is the same token");
        // It stays: an older token must never be worth something again.
        assert_eq!(revoked(&world, "d1"), Some(life));
    }
}

#[test]
fn whoever_is_connected_is_turned_away_before_the_spec_is_cleared() {
    let mut world = World::with_devices(&["d1"]);
    let device: DeviceId = "d1".parse().unwrap();
    let remove = world.input(Command::DeviceRemove(DeviceRemove {
        device: "d1".into(),
        waiting_only: false,
        dry_run: false,
    }));
    let effects = world.tell(Input::Command(Box::new(remove)));
    let place = |wanted: &Effect| effects.iter().position(|effect| effect == wanted);
    let revoked = place(&Effect::DeviceRevoked {
        device: device.clone(),
        until: Revocation {
            issue: 1,
            tokens: 0,
            certificates: 0,
            at_ms: world.now.unix_ms,
        },
    });
    let cleared = place(&Effect::DeviceSpecChanged(device.clone()));
    assert!(revoked.is_some() && revoked < cleared, "{effects:?}");
    let told = place(&Effect::Event(Event::DeviceRemoved {
        device,
        group: "eu".parse().unwrap(),
        by: alice(),
    }));
    assert!(told.is_some(), "{effects:?}");
}

#[test]
fn a_dry_run_of_a_removal_revokes_nothing() {
    let mut world = World::with_devices(&["d1"]);
    let remove = world.input(Command::DeviceRemove(DeviceRemove {
        device: "d1".into(),
        waiting_only: false,
        dry_run: true,
    }));
    let effects = world.tell(Input::Command(Box::new(remove)));
    let revokes = |effect: &Effect| matches!(effect, Effect::DeviceRevoked { .. });
    assert!(!effects.iter().any(revokes), "{effects:?}");
    assert_eq!(revoked(&world, "d1"), None);
}
