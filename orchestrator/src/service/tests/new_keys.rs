//! Another root document, and the keys that it names.

use hoist_protocol::envelope::OpenError;
use tokio::sync::watch;

use super::rig::release_key;
use super::*;
use crate::config::Keys;

fn keys(orchestrator: PrivateKey, number: u32) -> Keys {
    let root = |number| (number, format!("root {number}").into_bytes());
    Keys {
        orchestrator,
        release: vec![release_key().public()],
        roots: (1..=number).map(root).collect(),
        root_number: number,
        root_sha256: [7; 32],
    }
}

#[tokio::test]
async fn another_key_signs_every_spec_anew_behind_the_root_document_that_names_it() {
    let (newer, new_keys) = watch::channel(None);
    let mut rig = Rig::run(Arc::default(), |config| config.new_keys = new_keys).await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    rig.done("r2", "device-add", &json!({"device": "d1", "group": "eu"}))
        .await;
    for topic in [EU, "hoist/d/d1"] {
        rig.published(0, topic).await;
    }
    let from = rig.mark();
    let key = PrivateKey::from_seed(&[9; 32]);
    newer.send_replace(Some(keys(key.clone(), 2)));
    let (named_at, root) = rig.published(from, "hoist/k/2").await;
    assert_eq!(root, b"root 2");
    let old = [orchestrator_key().public()];
    let (signed_at, spec) = rig.published(from, EU).await;
    assert!(named_at < signed_at);
    let opened = open::<GroupSpec>(&[key.public()], Kind::GroupSpec, EU, &spec);
    opened.unwrap();
    let opened = open::<GroupSpec>(&old, Kind::GroupSpec, EU, &spec);
    assert!(matches!(opened, Err(OpenError::UnknownKey { .. })));
    let topic = "hoist/d/d1";
    let (_, spec) = rig.published(from, topic).await;
    open::<DeviceSpec>(&[key.public()], Kind::DeviceSpec, topic, &spec).unwrap();
    // A spec by the key before is not the server's any more: it is put right, whatever it says.
    let forged = GroupSpec {
        generation: hoist_protocol::id::Generation(u64::MAX),
        ..GroupSpec::default()
    };
    let forged = hoist_protocol::envelope::seal(&orchestrator_key(), Kind::GroupSpec, EU, &forged);
    rig.hand_over("hoist/cmd/alice/x/group-list", b"{}").await;
    let from = rig.mark();
    rig.deliver(EU, &forged, true).await;
    let (_, spec) = rig.published(from, EU).await;
    open::<GroupSpec>(&[key.public()], Kind::GroupSpec, EU, &spec).unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn another_release_key_leaves_every_spec_as_it_is() {
    let (newer, new_keys) = watch::channel(None);
    let mut rig = Rig::run(Arc::default(), |config| config.new_keys = new_keys).await;
    rig.done("r1", "group-create", &json!({"group": "eu"}))
        .await;
    let (_, before) = rig.published(0, EU).await;
    rig.hand_over("hoist/cmd/alice/x/group-list", b"{}").await;
    let from = rig.mark();
    newer.send_replace(Some(keys(orchestrator_key(), 2)));
    rig.published(from, "hoist/k/2").await;
    assert_eq!(rig.published(from, EU).await.1, before, "same bytes");
    rig.stop().await;
}
