//! The policies of `examples/policies`: each reaches everybody when all goes well.

use super::*;
use crate::api::command::PolicyPut;

const EXAMPLES: &[(&str, &str)] = &[
    (
        "canary-with-approval",
        include_str!("../../../../examples/policies/canary-with-approval.toml"),
    ),
    (
        "disruption-budget",
        include_str!("../../../../examples/policies/disruption-budget.toml"),
    ),
    (
        "exponential-rate",
        include_str!("../../../../examples/policies/exponential-rate.toml"),
    ),
    (
        "groups-with-thresholds",
        include_str!("../../../../examples/policies/groups-with-thresholds.toml"),
    ),
    (
        "office-hours",
        include_str!("../../../../examples/policies/office-hours.toml"),
    ),
    (
        "phases-with-pause",
        include_str!("../../../../examples/policies/phases-with-pause.toml"),
    ),
    (
        "waves",
        include_str!("../../../../examples/policies/waves.toml"),
    ),
];

/// Lets every device that may start succeed, people approve, and time go by, until all have ended.
fn carried_out(world: &mut World, id: DeploymentId, names: &[String]) {
    let mut left: Vec<String> = names.to_vec();
    for _ in 0..400 {
        world.go_on();
        if world.phase_waits(id) {
            for user in ["bob", "carol"] {
                world.approve_as(user, id);
            }
        }
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|it| world.may_start(it));
        for device in &now {
            world.say(device, done(1, id));
        }
        left = later;
        if left.is_empty() {
            return;
        }
        world.pass(15 * 60_000);
        world.fire_due();
    }
    panic!("{} devices are left: {:?}", left.len(), world.view(id));
}

impl World {
    fn phase_waits(&self, id: DeploymentId) -> bool {
        let phase = self.view(id).phase;
        phase.is_some_and(|phase| phase.state == PhaseState::WaitingApproval)
    }

    fn approve_as(&mut self, user: &str, id: DeploymentId) {
        let mut input = self.input(Command::Approve(Approve {
            deployment: id.0,
            phase: None,
            dry_run: false,
        }));
        input.user = user.parse().unwrap();
        self.send(input);
    }
}

#[test]
fn each_example_is_a_policy_that_reaches_everybody() {
    for (name, text) in EXAMPLES {
        let comments = text.lines().take_while(|line| line.starts_with('#'));
        assert_eq!(comments.count(), 2, "{name}");
        let rollout: Rollout =
            toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut world, names) = world(60);
        for device in &names {
            world.heard(device, PresenceState::Online, 1);
        }
        let put = PolicyPut {
            name: (*name).to_owned(),
            rollout,
            dry_run: false,
        };
        let put = world.order(Command::PolicyPut(put));
        assert!(matches!(put, Answer::PolicyPut(_)), "{name}: {put:?}");
        let id = world.deploy_as(Deploy {
            policy: Some((*name).to_owned()),
            ..deploy("fw@1.0.0")
        });
        carried_out(&mut world, id, &names);
        assert_eq!(world.view(id).counts.successful, 60, "{name}");
    }
}
