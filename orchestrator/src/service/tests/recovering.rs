use hoist_protocol::envelope::{PublicKey, seal};
use hoist_protocol::id::{Generation, RollCall};

use super::*;

const HEAD: &str = "hoist/d/d1";

/// The DeviceInfo of a device that is asked. It shows its key while its head does not name it.
fn shown(head: &[u8], key: Option<PublicKey>) -> Vec<u8> {
    encode(&DeviceInfo {
        public_key: key,
        stored_head: Some(head.to_vec()),
        ..DeviceInfo::default()
    })
}

fn heads(rig: &Rig) -> Vec<DeviceHead> {
    let keys: [PublicKey; 1] = [orchestrator_key().public()];
    let all = rig.log.all().into_iter();
    let heads = all.filter_map(|happened| match happened {
        Happened::Published(message) if message.topic == HEAD => Some(message.payload),
        _ => None,
    });
    let open = |payload: Vec<u8>| {
        let opened = open::<DeviceHead>(&keys, Kind::DeviceHead, HEAD, &payload);
        opened.unwrap().message
    };
    heads.map(open).collect()
}

#[tokio::test]
async fn a_device_that_shows_the_head_it_was_just_given_is_not_asked_again() {
    let mut rig = Rig::recovering().await;
    let info = Topics::default().format(&Topic::Info("d1".parse().unwrap()));
    let (_, given) = shows(&mut rig, "d1").await;
    for _ in 0..3 {
        rig.hand_over(&info, &shown(&given, None)).await;
    }
    // Whatever these bring about goes out before the head of a device that comes after them.
    shows(&mut rig, "d2").await;
    let signed: Vec<_> = heads(&rig).iter().map(|head| head.generation).collect();
    assert!(signed.iter().all(|one| *one == signed[0]), "{signed:?}");
}

/// A device shows a head of an earlier run, and is given another.
async fn shows(rig: &mut Rig, device: &str) -> (usize, Vec<u8>) {
    let topics = Topics::default();
    let device: DeviceId = device.parse().unwrap();
    let topic = topics.format(&Topic::DeviceHead(device.clone()));
    let old = DeviceHead {
        generation: Generation(crate::unix_time::unix_ms() - 60_000),
        group: "unassigned".parse().unwrap(),
        labels: Vec::new(),
        public_key: None,
        roll_call: RollCall(4),
        holds: Vec::new(),
        rounds: Vec::new(),
    };
    let old = seal(&orchestrator_key(), Kind::DeviceHead, &topic, &old);
    let from = rig.mark();
    let info = topics.format(&Topic::Info(device));
    let key = PrivateKey::from_seed(&[9; 32]).public();
    rig.hand_over(&info, &shown(&old, Some(key))).await;
    rig.published(from, &topic).await
}
