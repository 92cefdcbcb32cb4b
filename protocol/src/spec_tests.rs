use super::*;
use crate::codec::encode;

const DEPLOYMENT: DeploymentId = DeploymentId(7);

fn entry(audience: Audience, round: u32) -> DeploymentSpec {
    DeploymentSpec {
        deployment: DEPLOYMENT,
        release: ReleaseId([7; 16]),
        round: Round(round),
        audience,
        policy: Policy::default(),
    }
}

fn own(rounds: &[(DeploymentId, Round)], permits: &[(DeploymentId, Round)]) -> DeviceSpec {
    DeviceSpec {
        generation: Generation(1),
        group: "eu".parse().unwrap(),
        labels: Vec::new(),
        resync: Resync(0),
        holds: Vec::new(),
        rounds: rounds.to_vec(),
        permits: permits.to_vec(),
        public_key: None,
    }
}

#[test]
fn a_permit_admits_whatever_the_line_says_in_no_round_after_its_own() {
    let device = "dev-01".parse().unwrap();
    let nobody = |round| entry(Audience::Below(0), round);
    let admits = |permits: &[_], round| own(&[], permits).admits(&nobody(round), &device);
    assert!(!admits(&[], 0));
    assert!(admits(&[(DEPLOYMENT, Round(1))], 0));
    assert!(admits(&[(DEPLOYMENT, Round(1))], 1));
    assert!(!admits(&[(DEPLOYMENT, Round(1))], 2));
    assert!(!admits(&[(DeploymentId(8), Round(1))], 0));
    // A round of the device's own counts as one of the entry.
    let later = own(&[(DEPLOYMENT, Round(2))], &[(DEPLOYMENT, Round(1))]);
    assert!(!later.admits(&nobody(0), &device));
    assert!(later.admits(&entry(Audience::EVERYONE, 0), &device));
}

#[test]
fn deployments_of_one_order_admit_the_same_devices_first() {
    let device: DeviceId = "dev-0001".parse().unwrap();
    let of_its_own = Audience::Below(1);
    let ordered = Audience::Ordered { line: 1, order: 17 };
    assert_eq!(ordered.rank(DeploymentId(3), &device), 0x3151_2e5e);
    assert_eq!(ordered.rank(DeploymentId(4), &device), 0x3151_2e5e);
    assert_eq!(of_its_own.rank(DeploymentId(17), &device), 0x3151_2e5e);
    assert_ne!(of_its_own.rank(DeploymentId(3), &device), 0x3151_2e5e);
    let line = |line| Audience::Ordered { line, order: 17 };
    assert!(!line(0x3151_2e5e).admits(DeploymentId(3), &device));
    assert!(line(0x3151_2e5f).admits(DeploymentId(3), &device));
    assert!(line(u32::MAX).admits(DeploymentId(3), &device));
}

#[test]
fn a_policy_pays_only_for_the_fields_that_it_uses() {
    let bytes = |change: fn(&mut Policy)| {
        let mut spec = GroupSpec {
            entries: alloc::vec![entry(Audience::EVERYONE, 0)],
            ..GroupSpec::default()
        };
        change(&mut spec.entries[0].policy);
        encode(&spec).len()
    };
    let plain = bytes(|_| {});
    assert_eq!(bytes(|policy| policy.download_ahead = true), plain);
    assert_eq!(bytes(|policy| policy.urgent = true), plain);
    assert_eq!(bytes(|policy| policy.max_overrun_s = 600), plain + 2);
    let online = bytes(|policy| policy.confirm = Confirm::Online { within_s: 600 });
    assert_eq!(online, plain + 2);
}
