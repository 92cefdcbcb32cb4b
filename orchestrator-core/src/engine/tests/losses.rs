//! A row that is lost stops what needs it, and nothing else.

use super::*;

/// Takes the row of a group away behind the engine's back.
fn lose(rig: &mut Rig, group: &str) {
    rig.rows.commit(&[crate::model::txn::Write {
        key: GroupKey(group.parse().unwrap()).key(),
        expected: None,
        bytes: None,
    }]);
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
    lose(&mut rig, "eu");
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
