//! Work that is done once for each arrival, however many rounds of reading its rows take.

use hoist_protocol::id::{Attempt, Round, Seq};
use hoist_protocol::status::{FinalResult, Outcome, Success};

use super::*;

#[test]
fn a_status_is_verified_once_however_often_its_rows_are_missing() {
    let mut rig = Rig::listening();
    rig.command("group-create", &json!({"group": "eu"}), false);
    rig.command("device-add", &json!({"device": "d1", "group": "eu"}), false);
    rig.run();
    // Of each deployment that is not there, the row of its removal is looked for by itself.
    let outcomes = [1, 2, 3].map(|number| Outcome {
        deployment: DeploymentId(number),
        round: Round(0),
        attempt: Attempt(1),
        result: FinalResult::Successful(Success::Installed),
    });
    let status = DeviceStatus {
        seq: Seq(1),
        ended: 3,
        running: None,
        outcomes: outcomes.to_vec(),
    };
    let arrivals = rig.engine.receive(Delivery {
        topic: Some(Topic::Status("d1".parse().unwrap())),
        payload: encode(&status).into(),
        retained: false,
        again: false,
        receipt: None,
    });
    rig.happens(Event::Arrived(arrivals));
    let mut loads = 0;
    loop {
        match rig.engine.turn(rig.now).unwrap() {
            Turn::Load(keys) => {
                loads += 1;
                rig.happens(Event::Loaded(rig.rows.stored(&keys)));
            }
            Turn::Commit(_) => break,
            other => panic!("{other:?} before the commit"),
        }
    }
    assert!(loads > 2, "{loads}");
    assert_eq!(rig.engine.seals().verified.get(), 1);
}
