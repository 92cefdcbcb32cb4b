use super::*;

#[test]
fn a_deployment_reaches_members_and_later_joiners_until_aborted() {
    // S1, S5
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(world.listed(), [id]);
    world.say("d1", working(1, id, Step::Downloading(0)));
    world.say("d1", done(2, id));
    world.say("d2", done(1, id));
    assert!(world.view(id).settled);
    assert_eq!(world.view(id).state, DeploymentState::Active);
    world.add_device("d3");
    let view = world.view(id);
    assert!(!view.settled);
    let counts = Counts {
        members: 3,
        pending: 1,
        in_progress: 0,
        successful: 2,
        failed: 0,
    };
    assert_eq!(view.counts, counts);
}

#[test]
fn abort_takes_it_off_the_spec_and_says_what_it_means() {
    // S4, S5, W2
    let mut world = World::with_devices(&["d1", "d2", "d3"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", working(1, id, Step::Installing));
    world.say("d2", failed(1, id));
    let result = world.abort(id);
    assert_eq!(
        (result.never_start, result.finishing, result.unaffected),
        (1, 1, 1)
    );
    assert_eq!(world.listed(), []);
    // The device in progress finishes; members that join later are not counted.
    world.add_device("d4");
    world.say("d1", done(2, id));
    let view = world.view(id);
    assert_eq!((view.counts.members, view.counts.successful), (3, 1));
    assert!(view.settled);
    assert_eq!(view.reason, Some(EndReason::Operator.into()));
}

#[test]
fn a_device_that_started_before_it_saw_the_abort_finishes() {
    // bad-inputs row 37
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(world.abort(id).never_start, 2);
    world.say("d1", working(1, id, Step::Installing));
    world.say("d1", done(2, id));
    let counts = world.view(id).counts;
    assert_eq!((counts.pending, counts.successful), (1, 1));
}

#[test]
fn the_same_deploy_twice_is_the_same_deployment() {
    // bad-inputs row 39
    let mut world = World::with_devices(&[]);
    let first = world.deploy("fw@1.0.0");
    assert_eq!(world.deploy("fw@1.0.0"), first);
    world.create_group("us");
    let both = Deploy {
        group: None,
        groups: Some(vec!["eu".into(), "us".into()]),
        ..deploy("fw@1.0.0")
    };
    let answer = world.order(Command::Deploy(both));
    let said = serde_json::to_value(answer.into_body(|_, _| unreachable!()).unwrap()).unwrap();
    assert_eq!(said["deployments"][0]["deployment"], first.0);
    assert_eq!(said["deployments"][0]["existing"], true, "{said}");
    assert_eq!(said["deployments"][1]["existing"], false, "{said}");
    let other = Deploy {
        attempts: Some(7),
        ..deploy("fw@1.0.0")
    };
    assert_ne!(world.deploy_as(other), first);
}

#[test]
fn a_covering_deployment_supersedes_and_an_overlapping_one_is_refused() {
    // S11
    let mut world = World::with_devices(&["d1"]);
    world.add_release("fw", "2.0.0", &["app", "config"]);
    world.add_release("mix", "1.0.0", &["config", "extra"]);
    let first = world.deploy("fw@1.0.0");
    let second = world.deploy("fw@2.0.0");
    assert_eq!(world.listed(), [second]);
    let row = world.rows.read(&DeploymentKey(first)).unwrap().unwrap();
    assert_eq!(row.end.unwrap().reason, EndReason::Superseded);
    let answer = world.order(Command::Deploy(deploy("mix@1.0.0")));
    assert_eq!(refusal(&answer), Some(Code::Conflict));
    assert_eq!(world.listed(), [second]);
}

#[test]
fn a_ninth_active_deployment_is_refused() {
    // bad-inputs row 44
    let mut world = World::with_devices(&[]);
    for n in 0..9 {
        let name = format!("r{n}");
        world.add_release(&name, "1", &[&format!("a{n}")]);
        let answer = world.order(Command::Deploy(deploy(&format!("{name}@1"))));
        let full = refusal(&answer) == Some(Code::GroupFull);
        assert_eq!(full, n == 8, "{answer:?}");
    }
    assert_eq!(world.listed().len(), 8);
}

#[test]
fn a_full_group_is_told_which_deployment_is_best_aborted() {
    let mut world = World::with_devices(&["d1"]);
    let mut last = DeploymentId(0);
    for n in 0..8 {
        world.add_release(&format!("r{n}"), "1", &[&format!("a{n}")]);
        last = world.deploy(&format!("r{n}@1"));
    }
    let hint = |world: &mut World| match world.order(Command::Deploy(deploy("fw@1.0.0"))) {
        Answer::Refused(refusal) => refusal.hint.unwrap_or_default(),
        other => panic!("not refused: {other:?}"),
    };
    let said = hint(&mut world);
    assert!(
        said.starts_with("none of them is settled; the oldest is 1 (r0@1)"),
        "{said}"
    );
    world.say("d1", done(1, last));
    let said = hint(&mut world);
    assert!(
        said.contains("`hoist deployment abort 8`; settled: 8 (r7@1)"),
        "{said}"
    );
}

#[test]
fn a_deployment_says_when_it_changed_last_and_not_when_it_was_looked_at() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    let changed = |world: &World| world.view(id).updated_at;
    let time = |world: &World| crate::model::time::format_time(world.now.unix_ms);
    let created = time(&world);
    world.pass(5_000);
    assert_eq!(changed(&world), created);
    world.say("d1", failed(1, id));
    let reported = time(&world);
    world.pass(5_000);
    assert_eq!(changed(&world), reported);
    world.retry(id, None);
    let again = time(&world);
    world.pass(5_000);
    assert_eq!(changed(&world), again);
    world.abort(id);
    let ended = time(&world);
    world.pass(5_000);
    assert_eq!(changed(&world), ended);
}

#[test]
fn a_download_says_how_much_of_it_is_there() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    assert_eq!(world.item(id, "d1").progress_percent, None);
    world.say("d1", working(1, id, Step::Downloading(40)));
    assert_eq!(world.item(id, "d1").progress_percent, Some(40));
    world.say("d1", working(2, id, Step::Installing));
    assert_eq!(world.item(id, "d1").progress_percent, None);
}

#[test]
fn unknown_releases_and_groups_are_refused_and_an_empty_group_is_not() {
    // bad-inputs row 39
    let mut world = World::with_devices(&[]);
    let answer = world.order(Command::Deploy(deploy("fw@9")));
    assert_eq!(refusal(&answer), Some(Code::Release));
    let nowhere = Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    };
    let answer = world.order(Command::Deploy(nowhere));
    assert_eq!(refusal(&answer), Some(Code::Group));
    world.deploy("fw@1.0.0");
}

#[test]
fn a_scheduled_deployment_is_listed_only_from_its_start() {
    // S2
    let mut world = World::with_devices(&["d1"]);
    let start = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let id = world.deploy_as(Deploy {
        start: Some(start),
        ..deploy("fw@1.0.0")
    });
    assert_eq!(world.listed(), []);
    world.pass(30_000);
    world.fire_due();
    assert_eq!(world.listed(), []);
    world.pass(30_000);
    world.fire_due();
    assert_eq!(world.listed(), [id]);
}

#[test]
fn a_deployment_completes_at_its_end_time() {
    // S10
    let mut world = World::with_devices(&["d1"]);
    let until = crate::model::time::format_time(world.now.unix_ms + 60_000);
    let id = world.deploy_as(Deploy {
        limit: Some(Limit {
            devices: None,
            until: Some(until),
        }),
        ..deploy("fw@1.0.0")
    });
    world.pass(60_000);
    world.fire_due();
    assert_eq!(world.listed(), []);
    assert_eq!(world.view(id).reason, Some(EndReason::EndTime.into()));
}

#[test]
fn all_successful_completes_only_when_asked_to_and_true() {
    // S1
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy_as(Deploy {
        complete_when: Some(CompleteWhen::AllSuccessful),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", done(1, id));
    assert_eq!(world.view(id).state, DeploymentState::Active);
    world.say("d2", done(1, id));
    assert_eq!(world.view(id).state, DeploymentState::Completed);
    assert_eq!(world.listed(), []);
}

#[test]
fn generations_rise_even_when_the_clock_falls() {
    // W1
    let next = |previous, now| crate::engine::desired::next_generation(previous, now);
    assert_eq!(next(None, 5), Generation(5));
    assert_eq!(next(Some(Generation(9)), 5), Generation(10));
}

#[test]
fn a_removed_device_keeps_its_record_in_the_counts_and_counts_once_when_added_again() {
    // S14
    let mut world = World::with_devices(&["d1", "d2"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.remove("d1");
    let counted = |world: &World| {
        let counts = world.view(id).counts;
        (counts.members, counts.pending, counts.successful)
    };
    assert_eq!(counted(&world), (2, 1, 1));
    assert!(world.record(id, "d1").is_some());
    world.add_device("d1");
    assert_eq!(counted(&world), (2, 1, 1));
    // One without a record has nothing to be counted by.
    world.remove("d2");
    assert_eq!(counted(&world), (1, 0, 1));
}

#[test]
fn one_command_to_several_groups_makes_one_deployment_each_or_none_at_all() {
    let mut world = World::with_devices(&["d1"]);
    for group in ["us", "jp"] {
        world.create_group(group);
    }
    let to = |groups: &[&str], release| Deploy {
        group: None,
        groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
        ..deploy(release)
    };
    let answer = world.order(Command::Deploy(to(&["eu", "us"], "fw@1.0.0")));
    let Answer::Deployed { items, .. } = answer else {
        panic!("not deployed: {answer:?}")
    };
    let made: Vec<(u32, u32)> = items
        .iter()
        .map(|item| (item.deployment.0, item.members))
        .collect();
    assert_eq!(made, [(1, 1), (2, 0)]);

    // One group gets one deployment of a command.
    let answer = world.order(Command::Deploy(to(&["jp", "us", "jp"], "fw@1.0.0")));
    let Answer::Refused(rejection) = answer else {
        panic!("not refused: {answer:?}")
    };
    assert_eq!(rejection.code, Code::Command);
    assert_eq!(rejection.field.as_deref(), Some("groups"));
    assert!(
        rejection.detail.contains("jp is named twice"),
        "{rejection}"
    );

    // What one group refuses is created in none.
    world.add_release("mix", "1.0.0", &["app", "extra"]);
    world.add_release("part", "1.0.0", &["extra", "more"]);
    world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("mix@1.0.0")
    });
    let answer = world.order(Command::Deploy(to(&["jp", "us"], "part@1.0.0")));
    assert_eq!(refusal(&answer), Some(Code::Conflict));
    assert_eq!(world.spec("jp").entries, []);
}

#[test]
fn a_scheduled_deployment_that_cannot_be_listed_at_its_start_says_so() {
    // S2, S11
    let mut world = World::with_devices(&["d1"]);
    world.add_release("mix", "1.0.0", &["app", "extra"]);
    world.add_release("part", "1.0.0", &["extra", "more"]);
    let id = world.deploy_as(Deploy {
        start: Some(crate::model::time::format_time(world.now.unix_ms + 60_000)),
        ..deploy("part@1.0.0")
    });
    let other = world.deploy("mix@1.0.0");
    world.pass(60_000);
    world.fire_due();
    assert_eq!(world.listed(), [other]);
    let view = world.view(id);
    assert_eq!(view.state, DeploymentState::Aborted);
    assert_eq!(view.reason, Some(EndReason::Conflict.into()));
}

#[test]
fn a_scheduled_deployment_can_be_aborted_before_its_time() {
    // S2, S4
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(Deploy {
        start: Some(crate::model::time::format_time(world.now.unix_ms + 60_000)),
        ..deploy("fw@1.0.0")
    });
    assert_eq!(world.abort(id).never_start, 1);
    world.pass(60_000);
    world.fire_due();
    assert_eq!(world.listed(), []);
}

#[test]
fn the_reason_of_an_abort_is_one_line_that_moves_no_cursor() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    for reason in ["two\nlines", "\u{1b}[2J", "bell\u{7}"] {
        let answer = world.order(Command::Abort(Abort {
            deployment: id.0,
            reason: Some(reason.into()),
            dry_run: false,
        }));
        assert_eq!(refusal(&answer), Some(Code::Command), "{reason:?}");
    }
    assert_eq!(world.listed().len(), 1);
}
