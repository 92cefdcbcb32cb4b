//! A row that is lost stops what needs it, and nothing else.

use super::*;

use hoist_protocol::id::ReleaseId;

use crate::model::key::DeploymentKey;
use crate::model::row::DeploymentRow;
use crate::model::state::DeploymentState;
use crate::model::txn::Write;

/// Writes a row behind the engine's back, or takes it away.
fn write<K: RowKey>(rig: &mut Rig, key: &K, row: Option<&K::Row>) {
    rig.rows.commit(&[Write {
        key: key.key(),
        expected: None,
        bytes: row.map(encode),
    }]);
}

fn lose(rig: &mut Rig, key: &impl RowKey) {
    write(rig, key, None);
}

/// An active deployment of an artifact of its own.
fn active(number: u8) -> DeploymentRow {
    DeploymentRow {
        release: ReleaseId([number; 16]),
        release_text: format!("a{number}@1"),
        artifacts: vec![format!("a{number}").parse().unwrap()],
        group: "eu".parse().unwrap(),
        round: Default::default(),
        last_round: Default::default(),
        policy: Default::default(),
        spread_s: 0,
        start_ms: None,
        until_ms: None,
        limit: None,
        slots: 0,
        line: u32::MAX,
        seek_due_ms: None,
        complete_when: Default::default(),
        state: DeploymentState::Active,
        end: None,
        created_ms: 0,
        turn: 0,
        created_by: "alice".parse().unwrap(),
        updated_ms: 0,
        allowed: None,
        order: None,
        paused: None,
        history: 0,
        fallback: None,
    }
}

/// The deployments that the group's spec lists which was published last.
fn listed(rig: &Rig) -> Vec<u64> {
    let topic = Topic::GroupSpec("eu".parse().unwrap());
    let published = rig.published.iter().rev().find(|(to, _)| *to == topic);
    let spec: GroupSpec = decode_prefix(&published.unwrap().1).unwrap().0;
    spec.entries
        .iter()
        .map(|entry| entry.deployment.0.into())
        .collect()
}

#[test]
fn a_deployment_that_is_lost_keeps_no_abort_of_another_one_from_the_devices() {
    // S4, W2, bad-inputs row 62
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.run();
    let group = GroupKey("eu".parse().unwrap());
    let mut row = rig.rows.read(&group).unwrap().unwrap();
    row.active = vec![DeploymentId(17), DeploymentId(18), DeploymentId(19)];
    write(&mut rig, &group, Some(&row));
    for number in [17, 18, 19] {
        let key = DeploymentKey(DeploymentId(number.into()));
        write(&mut rig, &key, Some(&active(number)));
    }
    let subject = Subject::Group("eu".parse().unwrap());
    rig.engine.difference_mut().mark(subject, Cause::Changed);
    rig.run();
    assert_eq!(listed(&rig), [17, 18, 19]);
    lose(&mut rig, &DeploymentKey(DeploymentId(17)));
    rig.done.clear();
    rig.command("abort", &json!({"deployment": 18}), false);
    rig.run();
    assert!(rig.place("reply r2") < rig.place("damaged: the row of deployment 17 is lost"));
    assert_eq!(listed(&rig), [19]);
}

#[test]
fn a_row_that_is_lost_stops_only_the_decision_that_needs_it() {
    // bad-inputs row 62
    let mut rig = Rig::listening();
    for group in ["eu", "us"] {
        rig.command("group-create", &json!({ "group": group }), false);
    }
    rig.command("device-add", &json!({"device": "d1", "group": "eu"}), false);
    rig.run();
    lose(&mut rig, &GroupKey("eu".parse().unwrap()));
    rig.done.clear();
    rig.command(
        "device-move",
        &json!({"device": "d1", "group": "us"}),
        false,
    );
    rig.command("device-add", &json!({"device": "d2", "group": "us"}), false);
    rig.run();
    let damaged = rig.place("damaged: the row of group eu is lost");
    assert!(rig.place("committed") < damaged, "{:?}", rig.words());
    assert!(
        damaged < rig.place("reply r4: E_STORE_DAMAGED"),
        "{:?}",
        rig.words()
    );
    assert!(rig.place("acknowledge 4") < rig.place("reply r5"));
    rig.place("acknowledge 5");
}
