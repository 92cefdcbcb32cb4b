use hoist_protocol::envelope::{PublicKey, seal};
use hoist_protocol::id::{Generation, RollCall};

use super::*;

const HEAD: &str = "hoist/d/d1";

fn shown(head: &[u8]) -> Vec<u8> {
    let key = PrivateKey::from_seed(&[9; 32]);
    encode(&DeviceInfo {
        public_key: Some(key.public()),
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
    let old = DeviceHead {
        generation: Generation(crate::timer::unix_ms() - 60_000),
        group: "unassigned".parse().unwrap(),
        labels: Vec::new(),
        public_key: None,
        roll_call: RollCall(4),
        holds: Vec::new(),
        rounds: Vec::new(),
    };
    let old = seal(&orchestrator_key(), Kind::DeviceHead, HEAD, &old);
    let from = rig.mark();
    rig.hand_over(&info, &shown(&old)).await;
    let (_, given) = rig.published(from, HEAD).await;
    let asked = heads(&rig)[0].roll_call;
    for _ in 0..3 {
        rig.hand_over(&info, &shown(&given)).await;
    }
    // Whatever these bring about goes out before a group that is made known after them.
    let group = GroupHead {
        generation: Generation(crate::timer::unix_ms() - 60_000),
        ..GroupHead::default()
    };
    let from = rig.mark();
    let group = seal(&orchestrator_key(), Kind::GroupHead, EU, &group);
    rig.hand_over(EU, &group).await;
    rig.published(from, EU).await;
    let calls: Vec<_> = heads(&rig).iter().map(|head| head.roll_call).collect();
    assert!(calls.iter().all(|call| *call == asked), "{calls:?}");
}
