//! Slots of a limit whose devices left before anything was heard of their start (S10, S14).

use super::*;
use crate::api::command::DeviceWhy;
use crate::reply::{Explanation, Why};

/// Three devices, a limit, and who was given a slot and who was not.
fn limited(devices: u32) -> (World, DeploymentId, Vec<&'static str>, Vec<&'static str>) {
    let names = ["d1", "d2", "d3"];
    let mut world = World::with_devices(&names);
    world.create_group("us");
    let limit = Limit {
        devices: Some(devices),
        until: None,
    };
    let id = world.deploy_as(Deploy {
        limit: Some(limit),
        ..deploy("fw@1.0.0")
    });
    world.find_lines();
    let (given, left) = names.iter().partition(|name| world.may_start(name));
    (world, id, given, left)
}

fn why(world: &World, device: &str, id: DeploymentId) -> Explanation {
    let wish = DeviceWhy {
        device: device.into(),
        deployment: Some(id.0),
    };
    match world.answer(&Command::DeviceWhy(wish)) {
        ResultBody::DeviceWhy(mut why) => why.deployments.remove(0),
        other => panic!("not why: {other:?}"),
    }
}

#[test]
fn a_removed_device_keeps_its_slot_because_it_may_have_started_and_why_says_so() {
    let (mut world, id, given, left) = limited(1);
    world.remove(given[0]);
    world.find_lines();
    for device in &left {
        assert!(!world.may_start(device), "{} may have started", given[0]);
        let explained = why(&world, device, id);
        assert_eq!(explained.why, Why::AboveLine);
        let said = format!("{} took its slot along when it was removed", given[0]);
        assert!(explained.says.ends_with(&said), "{explained:?}");
        let next = format!("hoist deployment abort {id}");
        assert!(explained.next.ends_with(&next), "{explained:?}");
    }
    world.add_device("d4");
    let said = why(&world, "d4", id).says;
    assert!(said.contains("took its slot along"), "{said}");
    // What it says to do does help: who comes next takes the place.
    world.abort(id);
    let again = Deploy {
        limit: Some(Limit {
            devices: Some(1),
            until: None,
        }),
        ..deploy("fw@1.0.0")
    };
    world.deploy_as(again);
    world.find_lines();
    let names = [left[0], left[1], "d4"];
    assert_eq!(names.iter().filter(|name| world.may_start(name)).count(), 1);
}

#[test]
fn a_device_that_is_added_again_has_the_slot_that_it_took_along() {
    let (mut world, id, given, left) = limited(1);
    for _ in 0..2 {
        world.remove(given[0]);
        world.add_device(given[0]);
        assert!(world.may_start(given[0]), "its slot is its own");
        assert_eq!(world.view(id).limit.unwrap().given, 1);
        let said = why(&world, left[0], id).says;
        assert!(!said.contains("took its slot along"), "{said}");
    }
    world.say(given[0], working(1, id, Step::Installing));
    let view = world.view(id);
    assert_eq!(view.reason, Some(EndReason::DeviceLimit.into()));
}

#[test]
fn a_moved_device_keeps_its_slot_and_has_it_again_when_it_is_back() {
    // S14
    let (mut world, id, given, left) = limited(1);
    world.move_to(given[0], "us");
    world.find_lines();
    let said = why(&world, left[0], id).says;
    assert!(
        said.ends_with("took its slot along when it left, and obeys group us"),
        "{said}"
    );
    world.move_to(given[0], "eu");
    let able: Vec<&str> = ["d1", "d2", "d3"]
        .into_iter()
        .filter(|name| world.may_start(name))
        .collect();
    assert_eq!(able, given);
}

#[test]
fn a_leaver_that_is_heard_to_have_started_took_no_slot_away() {
    // S14: its word is taken, and it counts as started.
    let (mut world, id, given, left) = limited(2);
    for device in &given {
        world.move_to(device, "us");
    }
    let said = why(&world, left[0], id).says;
    assert!(said.ends_with("and so did others"), "{said}");
    world.say(given[0], working(1, id, Step::Installing));
    let said = why(&world, left[0], id).says;
    assert!(
        said.contains(&format!("{} took its slot", given[1])),
        "{said}"
    );
    assert!(!said.ends_with("and so did others"), "{said}");
    world.say(given[1], working(1, id, Step::Installing));
    assert_eq!(world.view(id).reason, Some(EndReason::DeviceLimit.into()));
}

#[test]
fn a_device_without_a_slot_takes_none_along() {
    let (mut world, id, given, _) = limited(3);
    world.add_device("d4");
    assert_eq!(world.device_spec("d4").holds, [id]);
    for _ in 0..2 {
        world.remove("d4");
        world.add_device("d4");
        assert!(!world.may_start("d4"), "all slots are given to {given:?}");
    }
    let said = why(&world, "d4", id).says;
    assert!(!said.contains("took its slot along"), "{said}");
}
