//! A dry run, seen from the loop.

use serde_json::json;

use super::rig::{Happened, Rig};

#[tokio::test]
async fn a_dry_run_of_an_added_device_gives_no_token_out_and_publishes_only_its_answer() {
    let mut rig = Rig::start().await;
    let from = rig.mark();
    let body = json!({"device": "d1", "dryRun": true});
    let reply = rig.done("r1", "device-add", &body).await;
    assert_eq!(reply, json!({"device": "d1", "group": "unassigned"}));
    // Whatever it did would have been done before the next command.
    rig.done("r2", "group-list", &json!({})).await;
    let did = rig.log.all().split_off(from);
    let quiet = |happened: &Happened| match happened {
        // Views of the start may still come.
        Happened::Published(message) => ["hoist/reply/", "hoist/view/"]
            .iter()
            .any(|people| message.topic.starts_with(people)),
        Happened::Acknowledged(_) => true,
        Happened::Committed | Happened::Refused | Happened::Read(_) | Happened::Revoked(_) => false,
    };
    assert!(did.iter().all(quiet), "{did:#?}");
    rig.stop().await;
}
