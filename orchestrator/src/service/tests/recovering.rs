use hoist_protocol::envelope::{PublicKey, seal};
use hoist_protocol::id::{Generation, Resync};

use super::*;

const HEAD: &str = "hoist/d/d1";

/// The DeviceInfo of a device that is asked. It shows its key while its spec does not name it.
fn shown(spec: &[u8], key: Option<PublicKey>) -> Vec<u8> {
    encode(&DeviceInfo {
        public_key: key,
        stored_spec: Some(spec.to_vec()),
        ..DeviceInfo::default()
    })
}

fn specs(rig: &Rig) -> Vec<DeviceSpec> {
    let keys: [PublicKey; 1] = [orchestrator_key().public()];
    let all = rig.log.all().into_iter();
    let specs = all.filter_map(|happened| match happened {
        Happened::Published(message) if message.topic == HEAD => Some(message.payload),
        _ => None,
    });
    let open = |payload: Vec<u8>| {
        let opened = open::<DeviceSpec>(&keys, Kind::DeviceSpec, HEAD, &payload);
        opened.unwrap().message
    };
    specs.map(open).collect()
}

#[tokio::test]
async fn a_device_that_shows_the_spec_it_was_just_given_is_not_asked_again() {
    let mut rig = Rig::recovering().await;
    let info = Topics::default().format(&Topic::Info("d1".parse().unwrap()));
    let (_, given) = shows(&mut rig, "d1").await;
    for _ in 0..3 {
        rig.hand_over(&info, &shown(&given, None)).await;
    }
    // Whatever these bring about goes out before the spec of a device that comes after them.
    shows(&mut rig, "d2").await;
    let signed: Vec<_> = specs(&rig).iter().map(|spec| spec.generation).collect();
    assert!(signed.iter().all(|one| *one == signed[0]), "{signed:?}");
}

/// A device shows a spec of an earlier run, and is given another.
async fn shows(rig: &mut Rig, device: &str) -> (usize, Vec<u8>) {
    let topics = Topics::default();
    let device: DeviceId = device.parse().unwrap();
    let topic = topics.format(&Topic::DeviceSpec(device.clone()));
    let old = DeviceSpec {
        generation: Generation(crate::unix_time::unix_ms() - 60_000),
        group: "unassigned".parse().unwrap(),
        labels: Vec::new(),
        public_key: None,
        resync: Resync(4),
        holds: Vec::new(),
        rounds: Vec::new(),
        permits: Vec::new(),
    };
    let old = seal(&orchestrator_key(), Kind::DeviceSpec, &topic, &old);
    let from = rig.mark();
    let info = topics.format(&Topic::Info(device));
    let key = PrivateKey::from_seed(&[9; 32]).public();
    rig.hand_over(&info, &shown(&old, Some(key))).await;
    rig.published(from, &topic).await
}
