//! A group that is removed, and one of its name that comes after it.

use hoist_protocol::topic::View;

use super::*;
use crate::api::commands::group_remove::GroupRemove;
use crate::model::key::GroupKey;

fn remove(world: &mut World, group: &str) -> Answer {
    world.order(Command::GroupRemove(GroupRemove {
        group: group.into(),
        dry_run: false,
    }))
}

fn turn(world: &World, group: &str) -> Option<u64> {
    let key = GroupKey(group.parse().unwrap());
    world.rows.read(&key).unwrap().map(|row| row.turn)
}

#[test]
fn a_group_is_removed_only_when_nobody_is_in_it_and_nothing_is_active() {
    let mut world = World::with_devices(&["d1"]);
    assert_eq!(
        refusal(&remove(&mut world, "unassigned")),
        Some(Code::GroupInUse)
    );
    assert_eq!(refusal(&remove(&mut world, "none")), Some(Code::Group));
    let id = world.deploy("fw@1.0.0");
    assert_eq!(refusal(&remove(&mut world, "eu")), Some(Code::GroupInUse));
    world.abort(id);
    assert_eq!(refusal(&remove(&mut world, "eu")), Some(Code::GroupInUse));
    // It obeys the group until the broker was seen to hold the spec that says otherwise.
    world.slow = true;
    world.move_to("d1", "unassigned");
    assert_eq!(refusal(&remove(&mut world, "eu")), Some(Code::GroupInUse));
    world.spec_out(&"d1".parse().unwrap());
    let group = "eu".parse().unwrap();
    assert_eq!(
        remove(&mut world, "eu"),
        Answer::GroupRemoved { group },
        "nobody obeys it"
    );
    assert_eq!(turn(&world, "eu"), None);
    assert_eq!(refusal(&remove(&mut world, "eu")), Some(Code::Group));
    let to = world.move_to("d1", "eu");
    assert_eq!(refusal(&to), Some(Code::Group));
}

#[test]
fn a_scheduled_deployment_keeps_its_group() {
    let mut world = World::with_devices(&[]);
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    world.deploy_as(Deploy {
        start: Some(start),
        ..deploy("fw@1.0.0")
    });
    assert_eq!(refusal(&remove(&mut world, "eu")), Some(Code::GroupInUse));
}

#[test]
fn removing_a_group_clears_its_spec_and_its_view() {
    let mut world = World::with_devices(&[]);
    let input = world.input(Command::GroupRemove(GroupRemove {
        group: "eu".into(),
        dry_run: false,
    }));
    let effects = world.tell(Input::Command(Box::new(input)));
    let eu = || "eu".parse().unwrap();
    for wanted in [
        Effect::GroupSpecChanged(eu()),
        Effect::ViewChanged(View::Group(eu())),
        Effect::ViewChanged(View::Fleet),
    ] {
        assert!(effects.contains(&wanted), "{wanted:?}");
    }
    let view = world
        .rows
        .query(|reader| Ok(query::group_view(reader, &eu(), world.now)?.ok_or(())));
    assert_eq!(view.unwrap(), Err(()));
}

#[test]
fn a_group_of_the_same_name_goes_on_where_the_removed_one_was() {
    // S14: what a device did in the first is not taken for the second.
    let mut world = World::with_devices(&["d1"]);
    let before = world.deploy("fw@1.0.0");
    world.abort(before);
    world.tell(Input::Doubt("eu".parse().unwrap()));
    world.move_to("d1", "unassigned");
    let left = turn(&world, "eu").unwrap();
    remove(&mut world, "eu");
    world.create_group("eu");
    assert_eq!(turn(&world, "eu"), Some(left));
    let second = world.deploy("fw@1.0.0");
    assert!(second > before);
    let effects = world.say("d1", done(1, second));
    assert!(
        !rejects(&effects, Code::Deployment),
        "one that left before it began may not have heard that it left"
    );
    world.abort(second);
    world.add_device("d2");
    let late = world.say("d2", done(1, second));
    assert!(rejects(&late, Code::Deployment), "it joined after the end");
    assert!(rejects(&world.say("d2", done(2, before)), Code::Deployment));
    // Removed once more, its row finds its generation.
    world.move_to("d2", "unassigned");
    assert_eq!(refusal(&remove(&mut world, "eu")), None);
    assert_eq!(refusal(&world.create_group("eu")), None);
}

#[test]
fn whoever_is_limited_to_groups_removes_no_other() {
    let mut world = World::with_devices(&[]);
    let mut input = world.input(Command::GroupRemove(GroupRemove {
        group: "eu".into(),
        dry_run: false,
    }));
    input.groups = vec!["us".parse().unwrap()];
    assert_eq!(refusal(&world.send(input)), Some(Code::Role));
}
