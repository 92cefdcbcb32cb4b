//! A row that is lost: what needs it is refused and shown, and everything else goes on.

use hoist_orchestrator_core::model::key::{GroupKey, RowKey};

use super::outage::health;
use super::*;
use crate::store::{Change, Expected};

#[tokio::test]
async fn a_lost_row_is_named_to_whoever_needs_it_and_in_the_view_and_the_others_go_on() {
    // bad-inputs row 62
    let mut rig = Rig::start().await;
    for (request, group) in [("r1", "eu"), ("r2", "us")] {
        rig.done(request, "group-create", &json!({ "group": group }))
            .await;
    }
    rig.done("r3", "device-add", &json!({"device": "d1", "group": "eu"}))
        .await;
    let key = GroupKey("eu".parse().unwrap()).key().0;
    let row = rig.store.load(vec![key.clone()]).await.unwrap().remove(0);
    let lost = Change {
        key,
        expected: Expected::Generation(row.unwrap().generation),
        value: None,
    };
    rig.store.commit(vec![lost]).await.unwrap();
    let from = rig.mark();
    let moves = json!({"device": "d1", "group": "us"});
    let reply = rig.command("r4", "device-move", &moves).await;
    assert_eq!(reply["error"]["code"], "E_STORE_DAMAGED", "{reply}");
    let detail = reply["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("the row of group eu is lost"), "{reply}");
    let view = health(&rig, from, "degraded").await;
    assert!(view.to_string().contains("row group eu"), "{view}");
    rig.done("r5", "device-add", &json!({"device": "d2", "group": "us"}))
        .await;
    assert!(*rig.ready.borrow(), "it stops only what needs it");
    rig.stop().await;
}
