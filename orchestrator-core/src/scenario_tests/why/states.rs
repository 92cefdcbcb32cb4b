use proptest::prelude::*;

use super::*;
use crate::rules::rollout::admission::first_blocker;

/// True if a device that has read the specs of now, and knows what is recorded of it, may start a
/// deployment: what a device machine looks at, and nothing else.
fn starts(world: &World, name: &str, id: DeploymentId) -> bool {
    let own = world.device_spec(name);
    let spec = world.spec(own.group.as_str());
    let entry = spec.entries.iter().find(|entry| entry.deployment == id);
    entry.is_some_and(|entry| {
        let over = world.record(id, name).is_some_and(|record| {
            let failed = matches!(record.state, RecordState::Failed(_) | RecordState::TimedOut);
            !failed || record.round >= own.round(entry)
        });
        !over && !own.holds(id) && entry.audience.admits(id, &name.parse().unwrap())
    })
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Deploy {
        limit: u32,
        later: bool,
        other: bool,
    },
    Abort,
    Move(bool),
    Hold(bool),
    Work,
    Succeed,
    Fail,
    Misfit,
    Retry(bool),
    Pass(u64),
    FindLines,
    Hear(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0u32..4, any::<bool>(), any::<bool>())
            .prop_map(|(limit, later, other)| Act::Deploy { limit, later, other }),
        1 => Just(Act::Abort),
        2 => any::<bool>().prop_map(Act::Move),
        2 => any::<bool>().prop_map(Act::Hold),
        3 => Just(Act::Work),
        2 => Just(Act::Succeed),
        2 => Just(Act::Fail),
        1 => Just(Act::Misfit),
        1 => any::<bool>().prop_map(Act::Retry),
        2 => (1u64..200_000).prop_map(Act::Pass),
        2 => Just(Act::FindLines),
        2 => any::<bool>().prop_map(Act::Hear),
    ]
}

/// Carries an act out; most make no sense most of the time, and are refused.
fn carry_out(world: &mut World, name: &str, id: DeploymentId, seq: u64, act: Act) {
    let round = world.record(id, name).map_or(Round(0), |it| it.round);
    let status = |mut status: DeviceStatus| {
        for outcome in &mut status.outcomes {
            outcome.round = round;
        }
        status
    };
    let misfit = Failure {
        reason: Reason::Incompatible,
        artifact: None,
        script: None,
        rollback: Rollback::NotNeeded,
        output: Vec::new(),
    };
    match act {
        Act::Deploy {
            limit,
            later,
            other,
        } => {
            let limit = (limit > 0).then_some(Limit {
                devices: Some(limit),
                until: None,
            });
            let start = later.then(|| world.in_ms(100_000));
            let release = if other { "other@1" } else { "fw@1.0.0" };
            world.order(Command::Deploy(Deploy {
                limit,
                start,
                spread_secs: Some(u32::try_from(seq).unwrap()),
                ..deploy(release)
            }));
        }
        Act::Abort => {
            world.order(Command::Abort(Abort {
                deployment: id.0,
                reason: None,
                dry_run: false,
            }));
        }
        Act::Move(away) => drop(world.move_to(name, if away { "us" } else { "eu" })),
        Act::Hold(held) => drop(world.hold(name, held)),
        Act::Work => drop(world.say(name, working(seq, id, Step::Installing))),
        Act::Succeed => drop(world.say(name, status(done(seq, id)))),
        Act::Fail => drop(world.say(name, status(failed(seq, id)))),
        Act::Misfit => {
            let misfit = status(ended(seq, id, FinalResult::Failed(misfit)));
            world.say(name, misfit);
        }
        Act::Retry(one) => drop(world.retry(id, one.then_some(&[name]))),
        Act::Pass(ms) => {
            world.pass(ms);
            world.fire_due();
        }
        Act::FindLines => world.find_lines(),
        Act::Hear(online) => world.heard(name, if online { Online } else { Offline }, seq),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_explained_is_what_the_specs_let_start_in_every_state(
        acts in proptest::collection::vec((0usize..4, 1u32..5, act()), 0..60),
    ) {
        let names = ["d1", "d2", "d3", "d4"];
        let mut world = World::with_devices(&names);
        world.create_group("us");
        world.add_release("other", "1", &["thing"]);
        for (seq, (number, id, act)) in acts.into_iter().enumerate() {
            let seq = u64::try_from(seq).unwrap() + 1;
            carry_out(&mut world, names[number], DeploymentId(id), seq, act);
        }
        let instance = world.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
        for name in names {
            let row = world.device_row(name);
            for id in (1..=instance.last_deployment.0).map(DeploymentId) {
                // A number that was only reported is given to none.
                let Some(deployment) = world.rows.read(&DeploymentKey(id)).unwrap() else {
                    continue;
                };
                let record = world.record(id, name);
                let freeze = world.freeze(&deployment.group);
                let case = Case {
                    id,
                    deployment: &deployment,
                    rollout: None,
                    device: &name.parse().unwrap(),
                    row: &row,
                    freeze: freeze.as_ref(),
                    record: record.as_ref(),
                };
                let explained = world.explained(name, id);
                let admission = &explained.rules[..Rule::ALL.len()];
                let admitted = admission.iter().all(|rule| rule.pass);
                prop_assert_eq!(first_blocker(&case).is_none(), admitted);
                prop_assert_eq!(starts(&world, name, id), admitted, "{:?}", explained);
                let first = explained.rules.iter().find(|rule| !rule.pass);
                prop_assert_eq!(explained.rule, first.map(|rule| rule.rule));
                let why = first.map_or(Why::Starts, |rule| rule.why.unwrap());
                prop_assert_eq!(explained.why, why);
            }
        }
    }
}
