//! Dynamic groups: who is in them follows from labels.

use super::*;
use crate::model::key::PassesKey;
use crate::model::row::PassesRow;

impl World {
    fn dynamic(&mut self, group: &str, selector: &str) -> Answer {
        self.order(Command::GroupCreate(GroupCreate {
            group: group.into(),
            selector: Some(selector.into()),
            dry_run: false,
        }))
    }

    fn group_of(&self, device: &str) -> String {
        self.device_row(device).group.to_string()
    }

    /// A device in no group, with a label.
    fn add_labeled(&mut self, device: &str, label: &str) -> Answer {
        let pairs = label.split_once('=').into_iter();
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.order(Command::DeviceAdd(DeviceAdd {
            device: device.into(),
            labels: labels.collect(),
            ..DeviceAdd::default()
        }))
    }
}

#[test]
fn devices_come_into_a_dynamic_group_and_leave_it_as_their_labels_say() {
    let mut world = World::with_devices(&["placed"]);
    world.label("placed", &["ring=canary"]);
    world.add_labeled("d1", "ring=canary");
    world.add_labeled("d2", "ring=rest");
    world.dynamic("canary", "ring=canary");
    world.find_pages();
    assert_eq!(world.group_of("d1"), "canary", "who was there before");
    assert_eq!(world.group_of("d2"), "unassigned");
    assert_eq!(world.group_of("placed"), "eu", "an operator put it there");
    world.add_labeled("d3", "ring=canary");
    assert_eq!(world.group_of("d3"), "canary", "who comes later");
    world.label("d2", &["ring=canary"]);
    assert_eq!(world.group_of("d2"), "canary", "who is labeled");
    world.label("d1", &["ring-"]);
    assert_eq!(world.group_of("d1"), "unassigned");
}

#[test]
fn what_is_deployed_to_a_dynamic_group_reaches_whoever_comes_in() {
    let mut world = World::with_devices(&[]);
    world.dynamic("canary", "ring=canary");
    world.find_pages();
    let id = world.deploy_as(Deploy {
        group: Some("canary".into()),
        ..deploy("fw@1.0.0")
    });
    world.add_labeled("d1", "ring=rest");
    assert!(!world.may_start("d1"));
    world.label("d1", &["ring=canary"]);
    assert!(world.may_start("d1"));
    assert_eq!(world.view(id).counts.members, 1);
}

#[test]
fn of_two_dynamic_groups_that_fit_the_first_by_name_has_the_device_and_it_is_said() {
    let mut world = World::with_devices(&[]);
    world.add_labeled("d1", "ring=canary");
    world.dynamic("b", "ring");
    world.find_pages();
    assert_eq!(world.group_of("d1"), "b");
    world.dynamic("a", "ring=canary");
    world.find_pages();
    assert_eq!(world.group_of("d1"), "a");
    let show = Command::DeviceShow(crate::api::command::DeviceShow {
        device: "d1".into(),
    });
    let ResultBody::DeviceDetail(detail) = world.answer(&show) else {
        panic!("no detail");
    };
    assert!(detail.placed.unwrap().ends_with("the others: b"));
}

#[test]
fn nobody_is_put_into_a_dynamic_group_by_hand_or_taken_out() {
    let mut world = World::with_devices(&["d1"]);
    world.dynamic("canary", "ring=canary");
    world.add_labeled("d2", "ring=canary");
    let moved =
        |world: &mut World, device: &str, group: &str| refusal(&world.move_to(device, group));
    assert_eq!(moved(&mut world, "d1", "canary"), Some(Code::Dynamic));
    assert_eq!(moved(&mut world, "d2", "eu"), Some(Code::Dynamic));
    assert_eq!(moved(&mut world, "d2", "canary"), None, "it is there");
    let add = world.order(Command::DeviceAdd(DeviceAdd {
        device: "d3".into(),
        group: Some("canary".into()),
        ..DeviceAdd::default()
    }));
    assert_eq!(refusal(&add), Some(Code::Dynamic));
    assert_eq!(refusal(&world.dynamic("eu", "a=b")), Some(Code::Dynamic));
    assert_eq!(
        refusal(&world.dynamic("unassigned", "a=b")),
        Some(Code::Dynamic)
    );
    assert_eq!(refusal(&world.dynamic("x", "a=(")), Some(Code::Selector));
    world.label("d1", &["ring=canary"]);
    let answer = world.move_to("d1", "unassigned");
    let Answer::DeviceMoved { group, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(group.as_str(), "canary", "its labels decide now");
}

#[test]
fn another_selector_takes_the_place_of_the_one_before_also_after_a_crash() {
    let mut world = World::with_devices(&[]);
    for number in 0..40 {
        let ring = if number % 2 == 0 { "a" } else { "b" };
        world.add_labeled(&format!("d{number}"), &format!("ring={ring}"));
    }
    world.dynamic("g", "ring=a");
    world.find_pages();
    world.dynamic("g", "ring=b");
    // The question dies with the server.
    world.pages.clear();
    world.pass(10_000);
    world.fire_due();
    world.find_pages();
    for number in 0..40 {
        let expected = if number % 2 == 0 { "unassigned" } else { "g" };
        assert_eq!(world.group_of(&format!("d{number}")), expected, "d{number}");
    }
    world.dynamic("g", "ring=b");
    let passes: PassesRow = world.rows.read(&PassesKey).unwrap().unwrap();
    assert_eq!(passes.passes.len(), 2, "the same selector begins nothing");
}

#[test]
fn a_dynamic_group_is_listed_with_its_selector_and_forgotten_with_the_group() {
    let mut world = World::with_devices(&[]);
    world.dynamic("canary", " ring == canary ");
    let selector = |world: &World| {
        let ResultBody::Groups(list) = world.answer(&Command::GroupList(GroupList::default()))
        else {
            panic!("no list");
        };
        let item = list.items.into_iter().find(|item| item.group == "canary");
        item.and_then(|item| item.selector)
    };
    assert_eq!(selector(&world).as_deref(), Some("ring=canary"));
    world.order(Command::GroupRemove(crate::api::command::GroupRemove {
        group: "canary".into(),
        dry_run: false,
    }));
    world.create_group("canary");
    assert_eq!(selector(&world), None);
    world.add_labeled("d1", "ring=canary");
    assert_eq!(world.group_of("d1"), "unassigned");
}

#[test]
fn a_device_that_is_registered_again_just_so_is_the_same_wherever_its_labels_put_it() {
    let mut world = World::with_devices(&[]);
    world.dynamic("canary", "ring=canary");
    let first = world.add_labeled("d1", "ring=canary");
    assert_eq!(world.add_labeled("d1", "ring=canary"), first);
}
