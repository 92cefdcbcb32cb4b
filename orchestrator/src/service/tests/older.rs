use hoist_protocol::envelope::seal;
use hoist_protocol::id::Generation;

use super::*;
use crate::service::ServiceError;

#[tokio::test]
async fn a_spec_of_ours_that_the_store_never_let_be_signed_ends_the_server() {
    // bad-inputs rows 64 and 66
    let mut rig = Rig::start().await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let spec = |generation| GroupSpec {
        generation: Generation(generation),
        ..GroupSpec::default()
    };
    let forged = PrivateKey::from_seed(&[66; 32]);
    let later = crate::unix_time::unix_ms() + 3_600_000;
    let foreign = seal(&forged, Kind::GroupSpec, EU, &spec(later));
    rig.hand_over(EU, &foreign).await;
    let earlier = seal(&orchestrator_key(), Kind::GroupSpec, EU, &spec(1));
    rig.hand_over(EU, &earlier).await;
    let ahead = seal(&orchestrator_key(), Kind::GroupSpec, EU, &spec(later));
    rig.deliver(EU, &ahead, true).await;
    let ended = rig.ends().await;
    assert!(matches!(&ended, ServiceError::Older(_)), "{ended}");
    assert!(ended.to_string().contains(EU), "{ended}");
}
