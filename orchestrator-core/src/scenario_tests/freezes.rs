//! A freeze of a group or of everything: nobody starts, and who has started finishes.

use hoist_protocol::id::GroupId;
use hoist_protocol::topic::View;

use super::*;
use crate::api::command::{Freeze, Unfreeze};
use crate::model::effect::Event;
use crate::model::key::{FleetFreezeKey, GroupKey, RowKey};
use crate::reply::{FreezeResult, Why};
use crate::rules::freeze;

impl World {
    pub(super) fn freeze_it(&mut self, group: Option<&str>) -> Answer {
        self.order(Command::Freeze(Freeze {
            group: group.map(str::to_owned),
            dry_run: false,
        }))
    }

    pub(super) fn unfreeze_it(&mut self, group: Option<&str>) -> Answer {
        self.order(Command::Unfreeze(Unfreeze {
            group: group.map(str::to_owned),
            dry_run: false,
        }))
    }

    /// The freeze that a group is under.
    pub(super) fn freeze(&self, group: &GroupId) -> Option<freeze::Freeze> {
        let mut txn = Txn::default();
        let keys = vec![GroupKey(group.clone()).key(), FleetFreezeKey.key()];
        self.rows.load(&mut txn, keys);
        let row = txn.read(&GroupKey(group.clone())).unwrap()?;
        freeze::of(&txn, &row).unwrap()
    }
}

fn listed(world: &World, group: &str) -> usize {
    world.spec(group).entries.len()
}

fn frozen(group: Option<&str>, frozen: bool) -> Answer {
    let group = group.map(str::to_owned);
    Answer::Frozen(FreezeResult { group, frozen })
}

#[test]
fn a_frozen_group_lists_nothing_until_it_is_let_go_and_others_go_on() {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    world.deploy("fw@1.0.0");
    world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    });
    assert_eq!(world.freeze_it(Some("eu")), frozen(Some("eu"), true));
    assert_eq!((listed(&world, "eu"), listed(&world, "us")), (0, 1));
    assert_eq!(world.unfreeze_it(Some("eu")), frozen(Some("eu"), false));
    assert_eq!(listed(&world, "eu"), 1);
}

#[test]
fn whoever_has_started_finishes_in_a_frozen_group_and_is_counted() {
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    world.freeze_it(Some("eu"));
    world.say("d1", done(2, id));
    let view = world.view(id);
    assert_eq!((view.counts.successful, view.counts.pending), (1, 1));
    assert!(view.frozen && !view.settled);
    assert_eq!(view.state, DeploymentState::Active);
}

#[test]
fn what_is_deployed_to_a_frozen_group_waits_and_its_plan_says_so() {
    let mut world = World::with_devices(&["d1"]);
    world.freeze_it(Some("eu"));
    let dry = Deploy {
        dry_run: true,
        ..deploy("fw@1.0.0")
    };
    let Answer::Planned(plan) = world.order(Command::Deploy(dry)) else {
        panic!("no plan");
    };
    assert!(plan.plans[0].frozen);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(listed(&world, "eu"), 0);
    assert!(!world.may_start("d1"));
    assert!(world.view(id).frozen);
    world.unfreeze_it(Some("eu"));
    assert!(world.may_start("d1"));
    assert!(!world.view(id).frozen);
}

#[test]
fn everything_frozen_holds_groups_that_are_created_later_and_those_frozen_by_themselves_stay_so() {
    let mut world = World::with_devices(&["d1"]);
    world.deploy("fw@1.0.0");
    assert_eq!(world.freeze_it(None), frozen(None, true));
    world.create_group("us");
    world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    });
    assert_eq!((listed(&world, "eu"), listed(&world, "us")), (0, 0));
    world.freeze_it(Some("eu"));
    assert_eq!(world.unfreeze_it(None), frozen(None, false));
    assert_eq!((listed(&world, "eu"), listed(&world, "us")), (0, 1));
    world.unfreeze_it(Some("eu"));
    assert_eq!(listed(&world, "eu"), 1);
}

#[test]
fn a_group_that_is_frozen_with_everything_cannot_be_let_go_alone() {
    let mut world = World::with_devices(&["d1"]);
    world.freeze_it(None);
    let refused = world.unfreeze_it(Some("eu"));
    assert_eq!(refusal(&refused), Some(Code::Frozen));
    world.freeze_it(Some("eu"));
    assert_eq!(world.unfreeze_it(Some("eu")), frozen(Some("eu"), true));
    assert_eq!(refusal(&world.freeze_it(Some("none"))), Some(Code::Group));
}

#[test]
fn a_freeze_is_told_once_with_who_began_it_and_a_second_one_changes_nothing() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let freeze = |group: Option<&str>| {
        Command::Freeze(Freeze {
            group: group.map(str::to_owned),
            dry_run: false,
        })
    };
    let input = world.input(freeze(Some("eu")));
    let effects = world.tell(Input::Command(Box::new(input)));
    let group: GroupId = "eu".parse().unwrap();
    for effect in [
        Effect::GroupSpecChanged(group.clone()),
        Effect::ViewChanged(View::Deployment(id)),
        Effect::ViewChanged(View::Group(group.clone())),
        Effect::Event(Event::Frozen {
            group: Some(group.clone()),
            by: alice(),
        }),
    ] {
        assert!(effects.contains(&effect), "{effect:?}: {effects:?}");
    }
    let since = world.freeze(&group).unwrap();
    world.pass(1_000);
    let input = world.input(freeze(Some("eu")));
    assert_eq!(world.tell(Input::Command(Box::new(input))), []);
    assert_eq!(world.freeze(&group), Some(since));
    let input = world.input(freeze(None));
    let effects = world.tell(Input::Command(Box::new(input)));
    assert!(effects.contains(&Effect::EveryGroupChanged), "{effects:?}");
    assert!(world.freeze(&group).unwrap().everything);
}

#[test]
fn device_why_says_who_froze_it_and_how_it_is_let_go() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.freeze_it(Some("eu"));
    let said = world.explained("d1", id);
    assert_eq!(said.why, Why::Frozen);
    assert!(
        said.says.starts_with("group eu is frozen since "),
        "{}",
        said.says
    );
    assert!(said.says.ends_with("by alice"), "{}", said.says);
    assert!(said.next.ends_with("hoist unfreeze eu"), "{}", said.next);
    world.freeze_it(None);
    let said = world.explained("d1", id);
    assert!(
        said.says.starts_with("everything is frozen"),
        "{}",
        said.says
    );
    assert!(said.next.ends_with("hoist unfreeze"), "{}", said.next);
    world.unfreeze_it(None);
    world.unfreeze_it(Some("eu"));
    assert_ne!(world.explained("d1", id).why, Why::Frozen);
}

#[test]
fn lists_and_views_show_a_freeze() {
    let mut world = World::with_devices(&["d1"]);
    let fleet = |world: &World| {
        let view = world
            .rows
            .query(|reader| Ok(Ok::<_, ()>(query::fleet_view(reader, world.now)?)));
        view.unwrap().unwrap().frozen
    };
    let group = |world: &World| {
        let ResultBody::Groups(list) = world.answer(&Command::GroupList(GroupList::default()))
        else {
            panic!("no list");
        };
        let item = list.items.into_iter().find(|item| item.group == "eu");
        item.unwrap()
            .frozen
            .map(|frozen| (frozen.by, frozen.everything))
    };
    assert_eq!((fleet(&world), group(&world)), (None, None));
    world.freeze_it(Some("eu"));
    assert_eq!(fleet(&world), None);
    assert_eq!(group(&world), Some(("alice".to_owned(), false)));
    world.freeze_it(None);
    assert_eq!(
        fleet(&world).map(|frozen| frozen.by),
        Some("alice".to_owned())
    );
    assert_eq!(group(&world), Some(("alice".to_owned(), true)));
}

#[test]
fn whoever_may_change_some_groups_freezes_those_alone() {
    let mut world = World::with_devices(&["d1"]);
    let mut limited = |group: Option<&str>| {
        let freeze = Freeze {
            group: group.map(str::to_owned),
            dry_run: false,
        };
        let input = world.input(Command::Freeze(freeze));
        world.send(CommandInput {
            role: Some(Role::Deployer),
            groups: vec!["eu".parse().unwrap()],
            ..input
        })
    };
    assert_eq!(refusal(&limited(None)), Some(Code::Role));
    assert_eq!(refusal(&limited(Some("unassigned"))), Some(Code::Role));
    assert_eq!(limited(Some("eu")), frozen(Some("eu"), true));
}

#[test]
fn an_end_time_ends_a_frozen_deployment_all_the_same() {
    let mut world = World::with_devices(&["d1"]);
    let until = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let limit = Limit {
        until: Some(until),
        ..Limit::default()
    };
    let id = world.deploy_as(Deploy {
        limit: Some(limit),
        ..deploy("fw@1.0.0")
    });
    world.freeze_it(Some("eu"));
    world.pass(60_000);
    world.fire_due();
    let view = world.view(id);
    assert_eq!(
        (view.state, view.frozen),
        (DeploymentState::Completed, false)
    );
}
