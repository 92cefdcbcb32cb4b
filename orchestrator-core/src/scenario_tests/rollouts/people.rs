use super::*;
use crate::reply::Why;

fn approve(deployment: DeploymentId, phase: Option<u32>) -> Command {
    Command::Approve(Approve {
        deployment: deployment.0,
        phase,
        dry_run: false,
    })
}

impl World {
    fn by(&mut self, user: &str, command: Command) -> Answer {
        let input = self.input(command);
        self.send(CommandInput {
            user: user.parse().unwrap(),
            ..input
        })
    }
}

#[test]
fn a_phase_that_wants_two_opens_when_two_others_have_approved_it() {
    let (mut world, names) = world(20);
    let two = Phase {
        approvals: 2,
        ..devices(10)
    };
    let id = world.deploy_as(rollout(vec![devices(2), two]));
    world.go_on();
    let first = admitted(&world, &names);
    assert_eq!(
        refusal(&world.order(approve(id, None))),
        Some(Code::Approval),
        "nothing waits yet"
    );
    world.succeed(&first, id);
    assert_eq!(world.phase(id), (2, PhaseState::WaitingApproval));
    assert_eq!(
        refusal(&world.order(approve(id, None))),
        Some(Code::SelfApproval)
    );
    assert_eq!(
        refusal(&world.by("bob", approve(id, Some(1)))),
        Some(Code::Approval)
    );
    for _ in 0..2 {
        assert_eq!(refusal(&world.by("bob", approve(id, Some(2)))), None);
        world.go_on();
        assert_eq!(admitted(&world, &names).len(), 2, "it is one person");
    }
    let waiting = names.iter().find(|name| !first.contains(name)).unwrap();
    let why = world.explained(waiting, id);
    assert_eq!(why.why, Why::Approval);
    assert!(why.says.contains("1 of 2"), "{}", why.says);
    world.by("carol", approve(id, None));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 10);
}

#[test]
fn pause_and_resume_are_exact() {
    let (mut world, names) = world(20);
    let id = world.deploy_as(rollout(vec![devices(6)]));
    world.go_on();
    let first = admitted(&world, &names);
    world.say(&first[0], working(1, id, Step::Installing));
    world.pause(id);
    assert_eq!(admitted(&world, &names), Vec::<String>::new());
    let why = world.explained(&first[1], id);
    assert_eq!(why.why, Why::Paused);
    assert!(why.says.contains("by alice: looks odd"), "{}", why.says);
    world.say(&first[0], done(2, id));
    world.go_on();
    assert_eq!(world.view(id).counts.successful, 1);
    world.resume(id);
    world.go_on();
    assert_eq!(
        admitted(&world, &names),
        first,
        "the same devices, and no other"
    );
    let again = world.resume(id);
    assert_eq!(refusal(&again), Some(Code::NotPaused));
    world.abort(id);
    assert_eq!(refusal(&world.resume(id)), Some(Code::Ended));
    assert_eq!(refusal(&world.pause(id)), Some(Code::Ended));
}

#[test]
fn a_deployment_to_everybody_can_be_paused_too() {
    let (mut world, names) = world(3);
    let id = world.deploy("fw@1.0.0");
    world.pause(id);
    assert_eq!(world.view(id).state, DeploymentState::Paused);
    assert_eq!(world.spec("eu").entries, []);
    world.add_device("late");
    world.resume(id);
    assert!(world.may_start("late") && world.may_start(&names[0]));
    assert_eq!(world.kinds(id), ["created", "paused", "resumed"]);
}

#[test]
fn why_names_the_gate_the_soak_and_the_numbers() {
    let (mut world, names) = world(30);
    let gate = Gate {
        success_percent: Some(50),
        min_ended: Some(4),
        soak_secs: Some(60),
        ..Gate::default()
    };
    let id = world.deploy_as(rollout(vec![gated(devices(5), gate)]));
    world.go_on();
    let first = admitted(&world, &names);
    let waiting = names.iter().find(|name| !first.contains(name)).unwrap();
    world.succeed(&first[..2], id);
    let why = world.explained(waiting, id);
    assert_eq!(why.why, Why::Gate);
    assert!(why.says.contains("2 of 4 ended"), "{}", why.says);
    world.succeed(&first[2..4], id);
    let why = world.explained(waiting, id);
    assert_eq!(why.why, Why::Soak);
    assert!(why.at.is_some());
}
