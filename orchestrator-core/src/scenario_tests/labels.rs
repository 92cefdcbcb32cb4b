//! Labels are changed of one device at once, and of all that a selector names in the background.

use hoist_protocol::id::GroupId;

use super::*;
use crate::api::command::DeviceLabel;
use crate::model::key::PassesKey;
use crate::model::row::{Pass, PassesRow};
use crate::reply::PassResult;
use crate::rules::pass::DEVICES_MAX;

fn of(device: &str, changes: &[&str]) -> DeviceLabel {
    let device = Some(device.to_owned());
    DeviceLabel {
        device,
        ..changed(changes)
    }
}

fn all(selector: &str, changes: &[&str]) -> DeviceLabel {
    let selector = Some(selector.to_owned());
    DeviceLabel {
        selector,
        ..changed(changes)
    }
}

/// `k=v` sets a label, `k-` takes it away.
fn changed(changes: &[&str]) -> DeviceLabel {
    let mut label = DeviceLabel::default();
    for change in changes {
        match change.split_once('=') {
            Some((name, value)) => {
                label.set.insert(name.to_owned(), value.to_owned());
            }
            None => label.remove.push(change.trim_end_matches('-').to_owned()),
        }
    }
    label
}

impl World {
    /// Finds every page of the passes, and those that follow from them.
    pub(super) fn find_pages(&mut self) {
        while !self.pages.is_empty() {
            let seek = self.pages.remove(0);
            let page = self.rows.pass_page(&seek).unwrap();
            self.tell(page);
        }
    }

    pub(super) fn label(&mut self, device: &str, changes: &[&str]) -> Answer {
        self.order(Command::DeviceLabel(of(device, changes)))
    }

    pub(super) fn label_all(&mut self, selector: &str, changes: &[&str]) -> Answer {
        self.order(Command::DeviceLabel(all(selector, changes)))
    }

    fn labels(&self, device: &str) -> String {
        let row = self.device_row(device);
        let pairs = row
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    }

    fn passes(&self) -> Vec<Pass> {
        let row: Option<PassesRow> = self.rows.read(&PassesKey).unwrap();
        row.map(|row| row.passes).unwrap_or_default()
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("d{number:03}")).collect()
}

fn fleet(count: usize) -> World {
    let names = names(count);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    World::with_devices(&names)
}

#[test]
fn labels_of_a_device_are_set_and_taken_away_and_are_in_its_spec() {
    let mut world = World::with_devices(&["d1"]);
    world.slow = true;
    let answer = world.label("d1", &["site=eu", "board=a"]);
    let Answer::DeviceLabeled(result) = answer else {
        panic!("{answer:?}");
    };
    let labels: Vec<(String, String)> = result.labels.into_iter().collect();
    assert_eq!(labels, world.device_spec("d1").labels);
    assert_eq!(world.labels("d1"), "board=a site=eu");
    let outbox = OutboxKey("d1".parse().unwrap());
    assert!(world.rows.read(&outbox).unwrap().is_some(), "it is told");
    world.label("d1", &["site=us", "board-", "none-"]);
    assert_eq!(world.labels("d1"), "site=us");
}

#[test]
fn labels_that_no_device_can_have_are_refused() {
    let mut world = World::with_devices(&["d1"]);
    let long = "x".repeat(129);
    for (label, code, field) in [
        (of("d9", &["a=b"]), Code::Device, "device"),
        (of("d1", &[]), Code::Command, "set"),
        (of("d1", &["=b"]), Code::Command, "set"),
        (of("d1", &["a=b", "a-"]), Code::Command, "remove"),
        (of("d1", &["a=b\nc"]), Code::Command, "set"),
        (of("d1", &[&format!("a={long}")]), Code::Size, "set"),
        (all("site in (", &["a=b"]), Code::Selector, "selector"),
        (changed(&["a=b"]), Code::Command, "device"),
        (
            DeviceLabel {
                selector: Some("a".into()),
                ..of("d1", &["a=b"])
            },
            Code::Command,
            "device",
        ),
        (
            DeviceLabel {
                group: Some("none".into()),
                ..all("a", &["a=b"])
            },
            Code::Group,
            "group",
        ),
    ] {
        let Answer::Refused(refused) = world.order(Command::DeviceLabel(label.clone())) else {
            panic!("{label:?} is not refused");
        };
        let found = (refused.code, refused.field.as_deref());
        assert_eq!(found, (code, Some(field)), "{label:?}");
    }
    let sixteen: Vec<String> = (0..16).map(|number| format!("l{number}=x")).collect();
    let sixteen: Vec<&str> = sixteen.iter().map(String::as_str).collect();
    world.label("d1", &sixteen);
    assert_eq!(refusal(&world.label("d1", &["one=more"])), Some(Code::Size));
    assert_eq!(world.device_row("d1").labels.len(), 16);
}

#[test]
fn all_that_a_selector_names_are_changed_page_by_page_and_others_are_not() {
    let count = 2 * DEVICES_MAX + 5;
    let mut world = fleet(count);
    for name in names(count).iter().step_by(2) {
        world.label(name, &["site=eu"]);
    }
    let answer = world.label_all("site=eu", &["ring=canary", "site-"]);
    assert_eq!(answer, Answer::PassBegun(PassResult { pass: Some(1) }));
    assert_eq!(world.labels("d000"), "site=eu", "in the background");
    world.find_pages();
    for (place, name) in names(count).iter().enumerate() {
        let expected = if place % 2 == 0 { "ring=canary" } else { "" };
        assert_eq!(world.labels(name), expected, "{name}");
    }
    let passes = world.passes();
    assert_eq!(passes[0].changed, u32::try_from(count.div_ceil(2)).unwrap());
    assert_eq!(passes[0].ended_ms, Some(world.now.unix_ms));
}

#[test]
fn a_change_of_many_devices_goes_on_where_it_was_after_a_crash() {
    let count = 2 * DEVICES_MAX;
    let mut world = fleet(count);
    world.label_all("!ring", &["ring=a"]);
    let first = world.pages.remove(0);
    let page = world.rows.pass_page(&first).unwrap();
    world.tell(&page);
    // The question for the next page dies with the server.
    world.pages.clear();
    assert_eq!(world.labels("d000"), "ring=a");
    world.label("d000", &["ring=b"]);
    assert!(
        !world
            .tell(&page)
            .iter()
            .any(|effect| matches!(effect, Effect::Pass(_)))
    );
    assert_eq!(world.labels("d000"), "ring=b", "a page is changed once");
    world.pass(10_000);
    world.fire_due();
    assert_eq!(world.pages.len(), 1);
    world.find_pages();
    let changed = names(count)
        .into_iter()
        .filter(|name| world.labels(name) == "ring=a");
    assert_eq!(changed.count(), count - 1);
    assert_eq!(world.passes()[0].changed, u32::try_from(count).unwrap());
}

#[test]
fn of_two_changes_of_many_devices_the_later_one_wins_everywhere() {
    let mut world = fleet(DEVICES_MAX + 1);
    world.label_all("!none", &["ring=first"]);
    world.label_all("!none", &["ring=second"]);
    assert_eq!(world.pages.len(), 1, "one after the other");
    world.find_pages();
    for name in names(DEVICES_MAX + 1) {
        assert_eq!(world.labels(&name), "ring=second");
    }
}

#[test]
fn changes_of_many_devices_that_wait_are_bounded() {
    let mut world = World::with_devices(&["d1"]);
    for number in 1..=8 {
        let answer = world.label_all("!none", &["ring=a"]);
        assert_eq!(answer, Answer::PassBegun(PassResult { pass: Some(number) }));
    }
    assert_eq!(
        refusal(&world.label_all("!none", &["a=b"])),
        Some(Code::Busy)
    );
    world.find_pages();
    let answer = world.label_all("!none", &["a=b"]);
    assert_eq!(answer, Answer::PassBegun(PassResult { pass: Some(9) }));
    assert_eq!(world.passes().len(), 8, "the oldest is told no more");
}

#[test]
fn a_device_that_would_have_too_many_labels_is_counted_and_left_as_it_is() {
    let mut world = World::with_devices(&["d1", "d2"]);
    let sixteen: Vec<String> = (0..16).map(|number| format!("l{number}=x")).collect();
    let sixteen: Vec<&str> = sixteen.iter().map(String::as_str).collect();
    world.label("d1", &sixteen);
    world.label_all("!none", &["one=more"]);
    world.find_pages();
    let pass = &world.passes()[0];
    assert_eq!((pass.changed, pass.refused), (1, 1));
    assert_eq!(world.labels("d2"), "one=more");
}

#[test]
fn an_administrator_of_some_groups_changes_devices_of_those_alone() {
    let mut world = World::with_devices(&["d1", "d2"]);
    world.create_group("us");
    world.move_to("d2", "us");
    let us: GroupId = "us".parse().unwrap();
    let mut limited = |label: DeviceLabel| {
        let input = world.input(Command::DeviceLabel(label));
        let answer = world.send(CommandInput {
            groups: vec![us.clone()],
            ..input
        });
        world.find_pages();
        answer
    };
    assert_eq!(refusal(&limited(of("d1", &["a=b"]))), Some(Code::Role));
    let eu = DeviceLabel {
        group: Some("eu".into()),
        ..all("!none", &["a=b"])
    };
    assert_eq!(refusal(&limited(eu)), Some(Code::Role));
    limited(all("!none", &["a=b"]));
    assert_eq!(world.labels("d1"), "");
    assert_eq!(world.labels("d2"), "a=b");
}

#[test]
fn a_dry_run_of_a_change_of_many_devices_begins_none() {
    let mut world = World::with_devices(&["d1"]);
    let dry = DeviceLabel {
        dry_run: true,
        ..all("!none", &["a=b"])
    };
    let answer = world.order(Command::DeviceLabel(dry));
    assert_eq!(answer, Answer::PassBegun(PassResult { pass: None }));
    assert_eq!(world.passes(), []);
    assert!(world.pages.is_empty());
}

#[test]
fn all_that_a_selector_names_are_moved_also_when_a_limit_counts_them() {
    let count = DEVICES_MAX + 3;
    let mut world = fleet(count);
    world.create_group("us");
    world.deploy("fw@1.0.0");
    world.label_all("!none", &["site=us"]);
    world.label("d001", &["site=eu"]);
    world.find_pages();
    world.label("d001", &["site=eu"]);
    let answer = world.order(Command::DeviceMove(DeviceMove {
        selector: Some("site=us".into()),
        group: "us".into(),
        ..DeviceMove::default()
    }));
    assert_eq!(answer, Answer::PassBegun(PassResult { pass: Some(2) }));
    world.find_pages();
    let of = |group: &str| {
        let all = names(count);
        let there = all
            .iter()
            .filter(|name| world.device_row(name).group.as_str() == group);
        there.count()
    };
    assert_eq!((of("us"), of("eu")), (count - 1, 1));
    let view = world.view(DeploymentId(1));
    assert_eq!(view.counts.members, 1);
}
