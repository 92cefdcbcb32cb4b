use hoist_protocol::envelope::seal;
use hoist_protocol::id::Generation;

use super::*;
use crate::service::ServiceError;

#[tokio::test]
async fn a_head_of_ours_that_the_store_never_let_be_signed_ends_the_server() {
    // bad-inputs rows 64 and 66
    let mut rig = Rig::start().await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let head = |generation| GroupHead {
        generation: Generation(generation),
        ..GroupHead::default()
    };
    let forged = PrivateKey::from_seed(&[66; 32]);
    let later = crate::unix_time::unix_ms() + 3_600_000;
    let foreign = seal(&forged, Kind::GroupHead, EU, &head(later));
    rig.hand_over(EU, &foreign).await;
    let earlier = seal(&orchestrator_key(), Kind::GroupHead, EU, &head(1));
    rig.hand_over(EU, &earlier).await;
    let ahead = seal(&orchestrator_key(), Kind::GroupHead, EU, &head(later));
    rig.deliver(EU, &ahead, true).await;
    let ended = rig.ended().await;
    assert!(matches!(&ended, ServiceError::Older(_)), "{ended}");
    assert!(ended.to_string().contains(EU), "{ended}");
}
