use PresenceState::{Offline, Online};

use super::*;
use crate::api::command;
use crate::model::key::InstanceKey;
use crate::model::time::format_time;
use crate::query::explain::{self, DeviceContext, Out, SpecsOut};
use crate::reply::{DeviceWhy, Explanation, RuleWord, StepWord, Wait, Why};
use crate::rules::rollout::admission::{Case, Rule};

mod counted;
mod ended;
mod removed;
mod states;

impl World {
    fn why_of(&self, device: &str, deployment: Option<DeploymentId>) -> DeviceWhy {
        let wish = command::DeviceWhy {
            device: device.into(),
            deployment: deployment.map(|id| id.0),
        };
        match self.answer(&Command::DeviceWhy(wish)) {
            ResultBody::DeviceWhy(why) => *why,
            other => panic!("not why: {other:?}"),
        }
    }

    pub(super) fn explained(&self, device: &str, id: DeploymentId) -> Explanation {
        self.why_of(device, Some(id)).deployments.remove(0)
    }

    /// Says why, and that what happens next is this.
    fn expect(&self, device: &str, id: DeploymentId, why: Why, next: &str) -> Explanation {
        let explained = self.explained(device, id);
        assert_eq!(explained.why, why, "{explained:?}");
        assert!(explained.next.contains(next), "{explained:?}");
        explained
    }

    fn in_ms(&self, ms: u64) -> String {
        format_time(self.now.unix_ms + ms)
    }
}

/// A world of online devices, and the deployment of `fw@1.0.0` to them.
fn deployed(devices: &[&str]) -> (World, DeploymentId) {
    let mut world = World::with_devices(devices);
    for device in devices {
        world.heard(device, Online, 1);
    }
    world.create_group("us");
    let id = world.deploy("fw@1.0.0");
    (world, id)
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
fn a_device_that_may_start_is_said_to_start_and_every_rule_holds() {
    let (world, id) = deployed(&["d1"]);
    let explained = world.expect("d1", id, Why::Starts, "as soon as it has read its spec");
    assert_eq!(explained.rule, None);
    assert_eq!(explained.rules.len(), Rule::ALL.len() + Wait::ALL.len());
    assert!(explained.rules.iter().all(|rule| rule.pass));
    assert_eq!(explained.status, Some(StatusWord::Pending));
}

#[test]
fn a_device_that_is_away_starts_when_it_connects() {
    // S6 (c)
    let mut world = World::with_devices(&["d1", "d2"]);
    world.heard("d1", Online, 1);
    world.heard("d1", Offline, 1);
    let seen = world.in_ms(0);
    let id = world.deploy("fw@1.0.0");
    let explained = world.expect("d1", id, Why::Offline, "starts when it connects");
    assert_eq!(explained.rule, Some(RuleWord::Waiting(Wait::Reachable)));
    assert!(explained.says.contains(&seen), "{explained:?}");
    let explained = world.expect("d2", id, Why::PresenceUnknown, "starts when it connects");
    assert!(explained.says.contains("never seen"), "{explained:?}");
}

#[test]
fn a_device_without_group_or_deployment_is_told_what_would_reach_it() {
    let mut world = World::with_devices(&["d1"]);
    world.order(Command::DeviceAdd(DeviceAdd {
        device: "d2".into(),
        ..DeviceAdd::default()
    }));
    let nothing = |device| world.why_of(device, None).nothing.unwrap();
    assert_eq!(nothing("d1").why, Why::NoDeployment);
    assert_eq!(nothing("d2").why, Why::Unassigned);
    let id = world.deploy("fw@1.0.0");
    world.expect("d2", id, Why::Unassigned, "device move d2 --group eu");
    let ghost = command::DeviceWhy {
        device: "ghost".into(),
        deployment: None,
    };
    let command = Command::DeviceWhy(ghost);
    let refused = world
        .rows
        .query(|reader| command.answer(reader, &alice(), world.now));
    assert_eq!(refused.unwrap().unwrap_err().code, Code::Device);
}

#[test]
fn a_device_of_another_group_is_told_whether_it_left_before_or_after() {
    // S14
    let (mut world, id) = deployed(&["d1", "d2"]);
    world.move_to("d1", "us");
    let left = world.expect("d1", id, Why::OtherGroup, "device move d1 --group eu");
    assert!(left.says.contains("left eu after deployment 1"), "{left:?}");
    assert_eq!(left.status, None);
    world.add_release("other", "1", &["thing"]);
    let later = world.deploy("other@1");
    let before = world.expect("d1", later, Why::OtherGroup, "never, unless");
    assert!(before.says.contains("not during"), "{before:?}");
    // Moved in after it was over: a member now, but not then.
    world.abort(id);
    world.move_to("d1", "eu");
    let after = world.expect("d1", id, Why::Aborted, "never");
    assert!(after.says.contains("joined its group after"), "{after:?}");
}

#[test]
fn what_is_not_listed_says_since_when_by_whom_and_what_for() {
    // S2, S3
    let (mut world, id) = deployed(&["d1"]);
    let start = world.in_ms(60_000);
    let scheduled = world.deploy_as(Deploy {
        start: Some(start.clone()),
        ..deploy("fw@1.0.0")
    });
    let explained = world.expect("d1", scheduled, Why::Scheduled, &start);
    assert_eq!(explained.at, Some(start));
    world.pass(60_000);
    world.fire_due();
    world.expect("d1", id, Why::Superseded, "what took its place");
    let aborting = Abort {
        deployment: scheduled.0,
        reason: Some("too hot".into()),
        dry_run: false,
    };
    world.order(Command::Abort(aborting));
    let aborted = world.expect("d1", scheduled, Why::Aborted, "never");
    assert!(aborted.says.ends_with("by alice: too hot"), "{aborted:?}");
    // Without a number: the newest that the group had.
    let all = world.why_of("d1", None).deployments;
    let ids: Vec<DeploymentId> = all.iter().map(|it| it.deployment).collect();
    assert_eq!(ids, [scheduled]);
}

#[test]
fn a_limit_says_whether_the_line_is_sought_drawn_below_or_used_up() {
    // S10
    let names = ["d1", "d2", "d3", "d4"];
    let mut world = World::with_devices(&names);
    let id = world.deploy_as(limited(2));
    let again = world.in_ms(10_000);
    let sought = world.expect("d1", id, Why::LineSought, &again);
    assert_eq!(sought.at, Some(again));
    world.find_lines();
    let above: Vec<&str> = names
        .into_iter()
        .filter(|name| !world.may_start(name))
        .collect();
    assert_eq!(above.len(), 2);
    let explained = world.expect(above[0], id, Why::AboveLine, "a new deployment");
    assert!(explained.says.contains("2 of the 2 slots"), "{explained:?}");
    for (number, name) in names
        .iter()
        .filter(|name| !above.contains(name))
        .enumerate()
    {
        world.say(name, working(1, id, Step::Installing));
        assert_eq!(
            number == 1,
            world.view(id).state == DeploymentState::Completed
        );
    }
    world.expect(above[0], id, Why::Completed, "the limit is used up");

    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy_as(limited(1));
    world.add_device("d2");
    world.expect("d2", id, Why::NoSlot, "the limit is used up");
}

#[test]
fn a_held_device_starts_when_it_is_let_go() {
    let (mut world, id) = deployed(&["d1"]);
    world.hold("d1", true);
    world.expect("d1", id, Why::Held, "device hold d1 --lift");
}

#[test]
fn one_deployment_at_a_time_the_lowest_first() {
    // S11
    let (mut world, id) = deployed(&["d1"]);
    world.add_release("other", "1", &["thing"]);
    let later = world.deploy("other@1");
    let explained = world.expect(
        "d1",
        later,
        Why::AnotherFirst,
        "when it has ended deployment 1",
    );
    assert!(explained.says.contains("comes first"), "{explained:?}");
    world.say("d1", working(1, id, Step::Installing));
    let explained = world.expect(
        "d1",
        later,
        Why::AnotherFirst,
        "when it has ended deployment 1",
    );
    assert!(explained.says.contains("carries out"), "{explained:?}");
    world.say("d1", done(2, id));
    world.expect("d1", later, Why::Starts, "");
    let all = world.why_of("d1", None).deployments;
    let ids: Vec<DeploymentId> = all.iter().map(|it| it.deployment).collect();
    assert_eq!(ids, [id, later]);
}

#[test]
fn an_urgent_deployment_comes_before_those_that_wait() {
    // S11
    let (mut world, id) = deployed(&["d1"]);
    world.add_release("other", "1", &["thing"]);
    let urgent = world.deploy_as(Deploy {
        urgent: true,
        ..deploy("other@1")
    });
    world.expect("d1", urgent, Why::Starts, "");
    let explained = world.expect("d1", id, Why::AnotherFirst, "ended deployment 2");
    assert!(explained.says.contains("it is urgent"), "{explained:?}");
    // What has started is finished first.
    world.say("d1", working(1, id, Step::Installing));
    world.expect("d1", urgent, Why::AnotherFirst, "ended deployment 1");
}

#[test]
fn a_device_at_work_is_said_to_be_asked_and_one_that_is_away_to_fail_then() {
    // S6, S7
    let mut world = World::with_devices(&["d1"]);
    world.heard("d1", Online, 1);
    let id = world.deploy_as(Deploy {
        timeout_secs: Some(1_000),
        ..deploy("fw@1.0.0")
    });
    world.say("d1", working(1, id, Step::Installing));
    let asked = world.in_ms(1_000_000 + GRACE_MS);
    let failed = world.in_ms(1_000_000 + 2 * GRACE_MS);
    let working = world.expect("d1", id, Why::InProgress, &asked);
    // While it answers it does not fail, however long a script runs.
    assert!(!working.next.contains(&failed), "{working:?}");
    assert!(
        working.next.contains("as long as it answers"),
        "{working:?}"
    );
    assert_eq!(working.step, Some(StepWord::Installing.into()));
    let seen = world.in_ms(0);
    world.heard("d1", Offline, 1);
    world.pass(GRACE_MS);
    world.fire_due();
    let lost = world.expect("d1", id, Why::ContactLost, &asked);
    assert!(lost.next.contains(&failed), "{lost:?}");
    assert!(lost.says.contains(&seen), "{lost:?}");
    assert_eq!(lost.at, Some(asked));
    world.pass(1_000_000);
    world.fire_due();
    let doubted = world.expect("d1", id, Why::Asked, &failed);
    assert_eq!(doubted.at, Some(failed));
    world.pass(GRACE_MS);
    world.fire_due();
    world.expect(
        "d1",
        id,
        Why::TimedOut,
        "its own word counts when it is back",
    );
}

#[test]
fn a_spec_on_its_way_and_a_key_to_be_approved_are_waited_for() {
    let (mut world, id) = deployed(&["d1"]);
    let info = |key: u8| Input::Info {
        device: "d1".parse().unwrap(),
        info: Box::new(DeviceInfo {
            public_key: Some(PublicKey([key; 32])),
            ..DeviceInfo::default()
        }),
    };
    world.tell(info(1));
    let why = |world: &World, specs| {
        let around = DeviceContext {
            lives: &[],
            taken: &BTreeMap::new(),
            rollouts: &BTreeMap::new(),
            works_on: None,
            first: Some(id),
            specs,
            refused: None,
            trouble: None,
        };
        let row = world.device_row("d1");
        let deployment = world.rows.read(&DeploymentKey(id)).unwrap().unwrap();
        let case = Case {
            id,
            deployment: &deployment,
            rollout: None,
            device: &"d1".parse().unwrap(),
            row: &row,
            freeze: None,
            record: None,
        };
        let instance = world.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
        explain::explain(case, around, &instance, world.now).why
    };
    assert_eq!(why(&world, SpecsOut::HELD), Why::Starts);
    for (group, device) in [(Out::OnItsWay, Out::Held), (Out::Held, Out::OnItsWay)] {
        let specs = SpecsOut { group, device };
        assert_eq!(why(&world, specs), Why::NotPublished);
    }
    world.tell(info(2));
    assert_eq!(why(&world, SpecsOut::HELD), Why::KeyNotApproved);
    // Also once it is at work: its outcome would be believed as little.
    world.say("d1", working(1, id, Step::Installing));
    let working = world.expect("d1", id, Why::InProgress, "finishes");
    let offered = PublicKey([2; 32]).fingerprint();
    assert!(working.says.contains(&offered), "{working:?}");
    assert!(working.says.contains("does not count"), "{working:?}");
}

#[test]
fn a_reply_that_would_grow_too_large_says_how_many_it_leaves_out() {
    let (mut world, _) = deployed(&["d1"]);
    world.hold("d1", true);
    for number in 0..30 {
        world.deploy_as(Deploy {
            start: Some(world.in_ms(60_000 * (number + 1))),
            ..deploy("fw@1.0.0")
        });
    }
    let why = world.why_of("d1", None);
    assert!(why.omitted > 0);
    assert_eq!(
        why.deployments.len() + usize::try_from(why.omitted).unwrap(),
        31
    );
    let bytes = serde_json::to_vec(&why).unwrap().len();
    assert!(
        bytes < hoist_protocol::limit::JSON_BYTES_MAX && bytes > 8_000,
        "{bytes} B"
    );
}

#[test]
fn words_are_kebab_case_and_rules_are_told_apart() {
    let json = |rule| serde_json::to_value(rule).unwrap();
    let admission = Rule::ALL.map(RuleWord::Admission).map(json);
    let waiting = Wait::ALL.map(RuleWord::Waiting).map(json);
    let words: Vec<_> = admission.into_iter().chain(waiting).collect();
    for (index, word) in words.iter().enumerate() {
        let word = word.as_str().unwrap();
        assert!(word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        assert!(words[..index].iter().all(|other| other != word));
        let back: RuleWord = serde_json::from_value(word.into()).unwrap();
        assert_eq!(json(back), word);
    }
}
