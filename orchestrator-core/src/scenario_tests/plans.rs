use hoist_protocol::spec::Overrides;

use super::*;
use crate::api::command;
use crate::model::key::FactsKey;
use crate::model::row::FactsRow;
use crate::model::state::LineWord;
use crate::reply::{Excluded, Plan, Why};

fn plan_of(world: &World, deploy: Deploy) -> Plan {
    match world.answer(&Command::Plan(command::Plan(deploy))) {
        ResultBody::Planned(mut planned) => planned.plans.remove(0),
        other => panic!("not a plan: {other:?}"),
    }
}

fn limited(devices: u32) -> Deploy {
    Deploy {
        limit: Some(Limit {
            devices: Some(devices),
            until: None,
        }),
        ..deploy("fw@1.0.0")
    }
}

#[test]
fn a_plan_of_a_rollout_tells_its_phases_and_what_the_deployment_before_came_to() {
    let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with_devices(&devices);
    let rollout = command::rollout::Rollout {
        phases: vec![command::rollout::Phase {
            devices: Some(2),
            ..command::rollout::Phase::default()
        }],
        ..command::rollout::Rollout::default()
    };
    let wish = Deploy {
        rollout: Some(rollout),
        ..deploy("fw@1.0.0")
    };
    let told = plan_of(&world, wish.clone()).schedule;
    let reached: Vec<_> = told.phases.iter().map(|it| it.devices).collect();
    assert_eq!(reached, [Some(2), Some(10)]);
    assert_eq!((told.publishes, told.would_stop.len()), (Some(2), 0));
    let id = world.deploy("fw@1.0.0");
    for device in &devices[..5] {
        world.say(device, failed(1, id));
    }
    let told = plan_of(&world, wish).schedule;
    assert_eq!(
        told.would_stop,
        ["deployment 1: 0.0 % of 5 succeeded, and the gate of phase 1 asks for 95 %"]
    );
    let none = plan_of(&world, deploy("fw@1.0.0")).schedule;
    assert_eq!(none, crate::reply::Schedule::default());
}

#[test]
fn a_plan_says_what_deploy_does_and_changes_nothing() {
    let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with_devices(&names);
    world.hold("d3", true);
    let before = world.rows.clone();
    let plan = plan_of(&world, limited(4));
    let everything = Key(vec![]);
    assert!(before.scan(&everything).eq(world.rows.scan(&everything)));
    assert_eq!(
        (plan.members, plan.eligible, plan.line),
        (10, 4, LineWord::Sought)
    );
    let excluded = |why, count| Excluded { why, count };
    assert_eq!(
        plan.excluded,
        [excluded(Why::Held, 1), excluded(Why::AboveLine, 5)]
    );
    // And so it comes.
    let answer = world.order(Command::Deploy(limited(4)));
    let Answer::Deployed { items, .. } = answer else {
        panic!("not deployed: {answer:?}")
    };
    assert_eq!((items[0].eligible, items[0].excluded), (4, 6));
    world.find_lines();
    let start = names.iter().filter(|name| world.may_start(name)).count();
    assert_eq!(start, 4);
    assert_eq!(
        plan_of(&world, limited(4)).existing,
        Some(items[0].deployment)
    );
}

#[test]
fn a_plan_names_what_it_supersedes_stands_behind_and_conflicts_with() {
    // S11
    let mut world = World::with_devices(&["d1"]);
    world.add_release("other", "1", &["thing"]);
    world.add_release("both", "1", &["app", "more"]);
    world.add_release("part", "1", &["more", "less"]);
    let first = world.deploy("fw@1.0.0");
    let other = world.deploy("other@1");
    let ids = |others: &[crate::reply::OtherDeployment]| -> Vec<DeploymentId> {
        others.iter().map(|it| it.deployment).collect()
    };
    let plan = plan_of(&world, deploy("both@1"));
    assert_eq!(ids(&plan.supersedes), [first]);
    assert_eq!(ids(&plan.after), [other]);
    assert_eq!(plan.refused, None);
    let urgent = Deploy {
        urgent: true,
        ..deploy("both@1")
    };
    assert_eq!(ids(&plan_of(&world, urgent).after), []);
    let both = world.deploy("both@1");
    assert_eq!(world.view(first).reason, Some(EndReason::Superseded.into()));

    let plan = plan_of(&world, deploy("part@1"));
    assert_eq!(ids(&plan.conflicts), [both]);
    assert_eq!(plan.refused.unwrap().code, "E_CONFLICT");
    // A dry run is refused as the command would be.
    let dry = Deploy {
        dry_run: true,
        ..deploy("part@1")
    };
    let answer = world.order(Command::Deploy(dry));
    assert_eq!(refusal(&answer), Some(Code::Conflict));
}

#[test]
fn what_an_operator_means_is_in_the_signed_entry_and_in_the_plan() {
    let mut world = World::with_devices(&["d1"]);
    let meant = Deploy {
        allow_downgrade: true,
        reinstall: true,
        ..deploy("fw@1.0.0")
    };
    let plan = plan_of(&world, meant.clone());
    assert!(plan.allow_downgrade && plan.reinstall);
    let plain = world.deploy("fw@1.0.0");
    let overrides = |world: &World| {
        let entries = world.spec("eu").entries;
        entries.last().unwrap().policy.overrides
    };
    assert_eq!(overrides(&world), Overrides::default());
    // Another policy is another deployment, which takes the place of the first.
    assert_ne!(world.deploy_as(meant.clone()), plain);
    let both = Overrides {
        allow_downgrade: true,
        reinstall: true,
    };
    assert_eq!(overrides(&world), both);
    // What is there already takes nobody's place.
    let again = plan_of(&world, meant);
    assert!(again.existing.is_some() && again.supersedes.is_empty());
}

#[test]
fn what_a_device_says_it_is_is_kept_as_long_as_the_device() {
    let mut world = World::with_devices(&["d1"]);
    let key = FactsKey("d1".parse().unwrap());
    assert_eq!(world.rows.read(&key).unwrap(), None);
    let info = DeviceInfo {
        agent: "1".into(),
        attributes: vec![("board".into(), "revB".into())],
        floor: 7,
        ..DeviceInfo::default()
    };
    world.tell(Input::Info {
        device: "d1".parse().unwrap(),
        info: Box::new(info.clone()),
    });
    let (attributes, floor) = (info.attributes, info.floor);
    let facts = FactsRow { attributes, floor };
    assert_eq!(world.rows.read(&key).unwrap(), Some(facts));
    world.remove("d1");
    assert_eq!(world.rows.read(&key).unwrap(), None);
}

#[test]
fn a_plan_of_several_groups_and_of_a_later_time() {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let several = Deploy {
        group: None,
        groups: Some(vec!["eu".into(), "us".into()]),
        start: Some(start.clone()),
        ..deploy("fw@1.0.0")
    };
    let ResultBody::Planned(planned) = world.answer(&Command::Plan(command::Plan(several))) else {
        panic!("not a plan")
    };
    let members: Vec<(&str, u32)> = planned
        .plans
        .iter()
        .map(|plan| (plan.group.as_str(), plan.members))
        .collect();
    assert_eq!(members, [("eu", 1), ("us", 0)]);
    let plan = &planned.plans[0];
    assert_eq!(plan.state, DeploymentState::Scheduled);
    assert_eq!(plan.start, Some(start));
}
