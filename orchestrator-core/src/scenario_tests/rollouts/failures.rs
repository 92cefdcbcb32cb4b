use super::*;

fn bearing(failure: Failures) -> Deploy {
    Deploy {
        rollout: Some(Rollout {
            failure: Some(failure),
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    }
}

fn failure(then: Then) -> Failures {
    Failures {
        percent: Some(20),
        devices: None,
        min_ended: Some(5),
        reasons: Vec::new(),
        then,
        fallback: None,
    }
}

#[test]
fn too_many_failures_abort_once_enough_have_ended() {
    let (mut world, names) = world(30);
    let id = world.deploy_as(bearing(failure(Then::Abort)));
    world.go_on();
    world.succeed(&names[..3], id);
    world.fail(&names[3..4], id);
    assert_eq!(world.view(id).state, DeploymentState::Active);
    world.fail(&names[4..5], id);
    let view = world.view(id);
    assert_eq!(view.state, DeploymentState::Aborted);
    assert_eq!(view.reason, Some(EndReason::Failures.into()));
    let kinds = world.kinds(id);
    assert_eq!(kinds[kinds.len() - 2..], ["too-many-failed", "ended"]);
    assert_eq!(world.history(id)[kinds.len() - 2].numbers["failed"], 2);
    assert_eq!(world.spec("eu").entries, []);
}

#[test]
fn failures_that_the_server_inferred_pause_and_never_abort() {
    for (then, expected) in [
        (Then::Abort, DeploymentState::Active),
        (Then::Pause, DeploymentState::Paused),
    ] {
        let (mut world, names) = world(30);
        let id = world.deploy_as(Deploy {
            timeout_secs: Some(60),
            ..bearing(failure(then))
        });
        world.go_on();
        for device in &names[..6] {
            world.say(device, working(1, id, Step::Installing));
        }
        for _ in 0..6 {
            world.pass(60_000);
            world.go_on();
        }
        assert_eq!(world.view(id).counts.failed, 6);
        assert_eq!(world.view(id).state, expected, "{then:?}");
    }
}

#[test]
fn after_a_resume_only_new_failures_count() {
    let (mut world, names) = world(30);
    let id = world.deploy_as(bearing(failure(Then::Pause)));
    world.go_on();
    world.fail(&names[..5], id);
    assert_eq!(world.view(id).paused.unwrap().reason, PauseReason::Failures);
    world.resume(id);
    world.go_on();
    assert_eq!(world.view(id).state, DeploymentState::Active);
    world.succeed(&names[5..9], id);
    assert_eq!(world.view(id).state, DeploymentState::Active);
    world.fail(&names[9..10], id);
    assert_eq!(world.view(id).state, DeploymentState::Paused);
}

#[test]
fn a_bad_release_is_stopped_in_its_first_phase() {
    let (mut world, names) = world(100);
    let mut deploy = rollout(vec![devices(5), devices(50)]);
    deploy.rollout.as_mut().unwrap().failure = Some(Failures {
        percent: None,
        devices: Some(3),
        min_ended: None,
        reasons: vec!["script-failed".into()],
        then: Then::Abort,
        fallback: None,
    });
    let gate = Gate {
        success_percent: Some(0),
        ..Gate::default()
    };
    deploy.rollout.as_mut().unwrap().phases[0].gate = Some(gate);
    let id = world.deploy_as(deploy);
    world.go_on();
    let first = admitted(&world, &names);
    world.fail(&first, id);
    let view = world.view(id);
    assert_eq!(view.state, DeploymentState::Aborted);
    assert_eq!((view.counts.failed, view.counts.pending), (5, 95));
}

fn falling_back(to: &str) -> Deploy {
    Deploy {
        rollout: Some(Rollout {
            phases: vec![gated(
                devices(5),
                Gate {
                    success_percent: Some(0),
                    ..Gate::default()
                },
            )],
            failure: Some(Failures {
                percent: None,
                devices: Some(3),
                min_ended: None,
                reasons: Vec::new(),
                then: Then::Fallback,
                fallback: Some(to.into()),
            }),
            ..Rollout::default()
        }),
        ..deploy("fw@1.0.0")
    }
}

#[test]
fn a_fallback_reaches_those_who_had_started_and_nobody_else() {
    let (mut world, names) = world(30);
    world.add_release("fw", "0.9.0", &["app"]);
    let id = world.deploy_as(falling_back("fw@0.9.0"));
    world.go_on();
    let first = admitted(&world, &names);
    world.succeed(&first[..2], id);
    world.fail(&first[2..], id);
    assert_eq!(world.view(id).state, DeploymentState::Aborted);
    let spec = world.spec("eu");
    let next = spec.entries[0].deployment;
    assert!(spec.entries[0].policy.overrides.allow_downgrade);
    assert_eq!(world.view(next).release, "fw@0.9.0");
    assert_eq!(admitted(&world, &names), first);
    let last = world.history(id).pop().unwrap();
    assert_eq!(
        (last.kind.as_str(), last.numbers["deployment"]),
        ("fell-back", next.0)
    );
    let other = names.iter().find(|name| !first.contains(name)).unwrap();
    assert_eq!(
        world.explained(other, next).why,
        crate::reply::Why::NotListedDevice
    );
}

#[test]
fn a_release_that_cannot_be_fallen_back_to_is_refused_at_the_beginning() {
    let (mut world, _) = world(3);
    world.add_release("other", "1", &["thing"]);
    for (to, code) in [
        ("fw@1.0.0", Code::Fallback),
        ("other@1", Code::Fallback),
        ("fw@0.1.0", Code::Release),
    ] {
        let answer = world.order(Command::Deploy(falling_back(to)));
        assert_eq!(refusal(&answer), Some(code), "{to}");
    }
}
