use super::*;
use crate::api::command::rollout::Order;
use crate::api::command::{PolicyList, PolicyPut, PolicyShow};
use crate::model::key::PolicyVersionKey;

fn careful(first: u32) -> Rollout {
    Rollout {
        order: Some(Order::Stable),
        phases: vec![devices(first)],
        ..Rollout::default()
    }
}

fn by_policy(policy: &str) -> Deploy {
    Deploy {
        policy: Some(policy.into()),
        ..deploy("fw@1.0.0")
    }
}

impl World {
    fn put(&mut self, name: &str, rollout: Rollout) -> String {
        let put = PolicyPut {
            name: name.into(),
            rollout,
            dry_run: false,
        };
        match self.order(Command::PolicyPut(put)) {
            Answer::PolicyPut(result) => result.policy,
            other => panic!("{other:?}"),
        }
    }

    fn shown(&self, policy: &str) -> Rollout {
        let show = PolicyShow {
            policy: policy.into(),
        };
        match self.answer(&Command::PolicyShow(show)) {
            ResultBody::Policy(detail) => serde_json::from_value(detail.rollout).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_change_of_a_policy_is_another_version_and_no_version_ever_changes() {
    let (mut world, names) = world(20);
    assert_eq!(world.put("careful", careful(2)), "careful@1");
    assert_eq!(world.put("careful", careful(2)), "careful@1", "the same");
    let key = PolicyVersionKey("careful".parse().unwrap(), 1);
    let before = world.rows.read(&key).unwrap();
    assert_eq!(world.put("careful", careful(3)), "careful@2");
    assert_eq!(world.rows.read(&key).unwrap(), before);
    assert_eq!(world.shown("careful@1"), careful(2));
    assert_eq!(world.shown("careful"), careful(3));
    let id = world.deploy_as(by_policy("careful@1"));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 2);
    assert_eq!(world.view(id).policy.as_deref(), Some("careful@1"));
    world.abort(id);
    let id = world.deploy_as(by_policy("careful"));
    world.go_on();
    assert_eq!(admitted(&world, &names).len(), 3);
    assert_eq!(world.view(id).policy.as_deref(), Some("careful@2"));
    let ResultBody::Policies(list) = world.answer(&Command::PolicyList(PolicyList::default()))
    else {
        panic!("no list")
    };
    let listed: Vec<&str> = list.items.iter().map(|it| it.policy.as_str()).collect();
    assert_eq!(listed, ["careful@2"]);
}

#[test]
fn a_stable_order_is_that_of_the_policy_in_all_its_versions() {
    let (mut world, names) = world(40);
    let mut first = |policy: &str, count: u32| {
        world.put(policy, careful(count));
        let id = world.deploy_as(by_policy(policy));
        world.go_on();
        let first = admitted(&world, &names);
        world.abort(id);
        first
    };
    let careful_first = first("careful", 4);
    let again = first("careful", 6);
    assert!(careful_first.iter().all(|device| again.contains(device)));
    assert_ne!(first("other", 4), careful_first);
}

#[test]
fn a_policy_that_is_none_is_refused_with_the_field() {
    let (mut world, _) = world(1);
    world.put("careful", careful(2));
    for (wish, code, field) in [
        (by_policy("carefree"), Code::Policy, "policy"),
        (by_policy("careful@2"), Code::Policy, "policy"),
        (by_policy("careful@0"), Code::Policy, "policy"),
        (
            Deploy {
                rollout: Some(careful(2)),
                ..by_policy("careful")
            },
            Code::Command,
            "policy",
        ),
    ] {
        let Answer::Refused(refusal) = world.order(Command::Deploy(wish)) else {
            panic!("not refused")
        };
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some(field))
        );
    }
    let nothing = PolicyPut {
        name: "bad".into(),
        rollout: rollout(vec![devices(5), devices(4)]).rollout.unwrap(),
        dry_run: false,
    };
    let refused = world.order(Command::PolicyPut(nothing));
    assert!(matches!(refused, Answer::Refused(it) if it.code == Code::Phases));
}
