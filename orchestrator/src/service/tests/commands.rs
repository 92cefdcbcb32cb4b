//! Commands and their results, by whichever door.

use super::*;
use crate::artifacts::Seen;

#[tokio::test]
async fn a_viewer_and_a_stranger_change_nothing() {
    // bad-inputs row 25
    let mut rig = Rig::start().await;
    for user in ["vera", "nobody"] {
        let from = rig.mark();
        let topic = format!("hoist/cmd/{user}/r1/group-create");
        rig.deliver(&topic, br#"{"group":"eu"}"#, false).await;
        let (_, reply) = rig.published(from, &format!("hoist/reply/{user}/r1")).await;
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(reply["error"]["code"], "E_ROLE", "{reply}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_release_needs_the_release_key_and_its_artifacts() {
    let mut rig = Rig::start().await;
    let sealed = rig.release("1.0.0");
    let add = |sealed: &[u8]| json!({"manifest": data_encoding::BASE64.encode(sealed)});
    let mut forged = sealed.clone();
    *forged.last_mut().unwrap() ^= 1;
    let reply = rig.command("r1", "release-add", &add(&forged)).await;
    assert_eq!(reply["error"]["code"], "E_SIG", "{reply}");
    let (artifact, _) = artifact("1.0.0");
    let file = rig.artifacts.path().join(artifact.id().to_string());
    std::fs::remove_file(file).unwrap();
    let reply = rig.command("r2", "release-add", &add(&sealed)).await;
    assert_eq!(reply["error"]["code"], "E_ARTIFACT", "{reply}");
    rig.stop().await;
}

#[tokio::test]
async fn only_a_release_that_was_added_claims_its_artifacts() {
    let mut rig = Rig::start().await;
    let manifest = data_encoding::BASE64.encode(&rig.release("1.0.0"));
    let (artifact, _) = artifact("1.0.0");
    let file = rig.artifacts.path().join(artifact.id().to_string());
    let dry = json!({"manifest": manifest, "dryRun": true});
    rig.done("r1", "release-add", &dry).await;
    let from = rig.mark();
    let add = json!({"manifest": manifest});
    rig.deliver(
        "hoist/cmd/vera/r2/release-add",
        add.to_string().as_bytes(),
        false,
    )
    .await;
    rig.published(from, "hoist/reply/vera/r2").await;
    let content = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(rig.directory.look(artifact.id()).await, Seen::Nothing);
    std::fs::write(&file, content).unwrap();
    rig.done("r3", "release-add", &add).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(rig.directory.look(artifact.id()).await, Seen::Damaged);
    rig.stop().await;
}

#[tokio::test]
async fn a_command_by_http_is_answered_there_and_only_there() {
    let rig = Rig::start().await;
    let from = rig.mark();
    let user: UserId = "alice".parse().unwrap();
    let body = br#"{"group":"eu"}"#.to_vec();
    let asked = rig.door.command(
        (user.clone(), HERE),
        "r1".into(),
        "group-create".into(),
        body,
    );
    let reply: Value = serde_json::from_slice(&within(asked).await.unwrap()).unwrap();
    assert_eq!(reply["ok"], true, "{reply}");
    let asked = rig.door.command(
        (user, HERE),
        "r/1".into(),
        "group-list".into(),
        b"{}".to_vec(),
    );
    let reply: Value = serde_json::from_slice(&within(asked).await.unwrap()).unwrap();
    assert_eq!(reply["error"]["code"], "E_NAME", "{reply}");
    rig.published(from, EU).await;
    let replied = |h: &Happened| matches!(h, Happened::Published(m) if m.topic.contains("/reply/"));
    assert!(!rig.log.all().iter().any(replied));
    rig.stop().await;
}

#[tokio::test]
async fn a_release_whose_artifact_is_lost_is_told_and_neither_planned_nor_deployed() {
    let mut rig = Rig::start().await;
    rig.add_release("1.0.0").await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let (store, from) = (Arc::clone(&rig.store), rig.mark());
    rig.stop().await;
    // Another folder: nothing is in it.
    let mut rig = Rig::on(store).await;
    let event = rig.published(from, "hoist/event/server-degraded").await.1;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["data"]["code"], "E_ARTIFACT", "{event}");
    let body = json!({"release": "app@1.0.0", "group": "eu"});
    for (request, verb) in [("r2", "deploy"), ("r3", "plan")] {
        let refused = rig.command(request, verb, &body).await;
        assert_eq!(refused["error"]["code"], "E_ARTIFACT", "{refused}");
    }
    rig.stop().await;
}
