//! What the trail tells that no user's command did, and what a command's names alone do not say.

use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::ClaimId;
use hoist_protocol::root::{KeyRole, RoleKey, RootDocument};

use super::*;
use crate::api::command::{DeviceApprove, DeviceRevoke, EnrollCreate};
use crate::model::enroll::EnrollAsk;
use crate::model::key::NotedRootKey;
use crate::model::txn::Write;

fn key(seed: u8) -> PublicKey {
    PrivateKey::from_seed(&[seed; 32]).public()
}

/// User, from, verb, target and result of the items since there were so many.
fn items(world: &World, before: usize) -> Vec<[String; 5]> {
    let rows = world.rows.scan(&Prefix::Audit.bytes());
    let item =
        |(_, bytes): (&Key, &[u8])| -> AuditRow { hoist_protocol::codec::decode(bytes).unwrap() };
    let told = rows.map(item).map(|item| {
        let result = item.result.map_or("ok", Code::as_str).to_owned();
        let user = item.user.to_string();
        [user, item.from, item.verb, item.target, result]
    });
    told.skip(before).collect()
}

fn count(world: &World) -> usize {
    items(world, 0).len()
}

/// An item of what no user did.
fn ours(parts: [&str; 4]) -> [String; 5] {
    let [from, verb, target, result] = parts;
    ["orchestrator", from, verb, target, result].map(str::to_owned)
}

impl World {
    fn by_claim(&mut self, device: &str, seed: u8, claim: &ClaimId) {
        let device: DeviceId = device.parse().unwrap();
        let ask = EnrollAsk {
            named: device.clone(),
            device,
            key: key(seed),
            nonce: [seed; 16],
            device_type: String::new(),
            claim: Some(claim.clone()),
            proven: true,
            claimed: true,
            is_user: false,
        };
        let _answered = self.tell(Input::Enroll(Box::new(ask)));
    }

    fn make_claim(&mut self, create: EnrollCreate) -> ClaimId {
        let group = Some("eu".to_owned());
        match self.order(Command::EnrollCreate(EnrollCreate { group, ..create })) {
            Answer::ClaimCreated { claim, .. } => claim,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_reason_of_a_change_and_the_whole_key_that_was_approved_are_told() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    for seed in [1, 2] {
        world.tell(Input::Info {
            device: "d1".parse().unwrap(),
            info: Box::new(DeviceInfo {
                public_key: Some(key(seed)),
                ..DeviceInfo::default()
            }),
        });
    }
    let before = count(&world);
    let print = key(2).fingerprint();
    let approve = |typed: &str| {
        Command::DeviceApprove(DeviceApprove {
            device: "d1".into(),
            fingerprint: Some(typed.to_owned()),
            dry_run: false,
        })
    };
    world.order(approve("0123456789"));
    world.order(approve(&print[..8]));
    let reason = "stolen, see ticket 7: ".to_owned() + &"x".repeat(200);
    world.order(Command::DeviceRevoke(DeviceRevoke {
        device: "d1".into(),
        reason: Some(reason.clone()),
        dry_run: false,
    }));
    world.order(Command::Abort(Abort {
        deployment: id.0,
        reason: Some("the wrong one".into()),
        dry_run: false,
    }));
    let expected = [
        item("device-approve", "d1 0123456789", "E_NOT_OFFERED"),
        item("device-approve", &format!("d1 {print}"), "ok"),
        item("device-revoke", &format!("d1: {reason}"), "ok"),
        item("abort", "1: the wrong one", "ok"),
    ];
    assert_eq!(since(&world, before), expected);
}

#[test]
fn what_came_by_a_claim_is_told_once_and_with_the_claim() {
    let mut world = World::with_devices(&["known", "first"]);
    let claim = world.make_claim(EnrollCreate {
        uses: Some(2),
        ..EnrollCreate::default()
    });
    let approval = world.make_claim(EnrollCreate {
        approval: true,
        ..EnrollCreate::default()
    });
    let made = items(&world, count(&world) - 2);
    assert_eq!(made[0][3], format!("eu {claim}"));
    let before = count(&world);
    let print = |seed| key(seed).fingerprint();
    for _ in 0..2 {
        // A repeat changes nothing.
        world.by_claim("new", 1, &claim);
        world.by_claim("first", 2, &claim);
        world.by_claim("first", 3, &claim);
        world.by_claim("waits", 4, &approval);
        world.by_claim("more", 5, &claim);
    }
    let (by, by_approval) = (format!("claim {claim}"), format!("claim {approval}"));
    let target = |device: &str, seed| format!("{device} eu {}", print(seed));
    let expected = [
        ours([&by, "enroll", &target("new", 1), "ok"]),
        ours([&by, "enroll", &target("first", 2), "ok"]),
        ours([&by, "enroll", &target("first", 3), "E_REENROL"]),
        ours([&by_approval, "enroll", &target("waits", 4), "E_PENDING"]),
    ];
    assert_eq!(items(&world, before), expected);
}

#[test]
fn a_recovery_is_told_when_it_begins_and_when_it_ends_and_a_lost_trail_keeps_nobody_from_it() {
    let mut world = World::with_devices(&[]);
    let before = count(&world);
    for _ in 0..2 {
        // After a crash it goes on.
        world.tell(Input::RecoveryBegins);
    }
    world.pass(1);
    for _ in 0..2 {
        world.tell(Input::RecoveryEnds);
    }
    let expected = ["begins", "ended"].map(|what| ours(["hoist recover", "recover", what, "ok"]));
    assert_eq!(items(&world, before), expected);
    let lost = Write {
        key: AuditHeadKey.key(),
        expected: None,
        bytes: None,
    };
    world.rows.commit(&[lost]);
    let effects = world.tell(Input::RecoveryBegins);
    assert!(matches!(effects[..], [Effect::Damaged(_)]), "{effects:?}");
    let row = world.rows.read(&crate::model::key::RecoveryKey).unwrap();
    assert!(row.unwrap().open);
}

fn root(number: u32, orchestrator: u8) -> RootDocument {
    let keys = [
        (KeyRole::Root, 1),
        (KeyRole::Release, 2),
        (KeyRole::Orchestrator, orchestrator),
    ];
    RootDocument {
        number,
        namespace: hoist_protocol::id::Namespace::default(),
        issued: Generation(7),
        expires_s: 0,
        threshold: 1,
        keys: keys
            .into_iter()
            .map(|(role, seed)| RoleKey {
                role,
                key: key(seed),
            })
            .collect(),
    }
}

#[test]
fn each_root_document_that_comes_into_effect_is_told_once_with_its_keys() {
    let mut world = World::with_devices(&[]);
    let before = count(&world);
    for (number, orchestrator) in [(1, 3), (1, 3), (3, 4), (3, 4)] {
        // At every start.
        world.tell(Input::RootInEffect(Box::new(root(number, orchestrator))));
    }
    let told = |number: u32, orchestrator: u8| {
        let [root, release, orchestrator] = [1, 2, orchestrator].map(|it| key(it).fingerprint());
        let target = format!(
            "root document {number}: root {root}, release {release}, orchestrator {orchestrator}"
        );
        ours(["hoist keys", "keys-rotate", &target, "ok"])
    };
    assert_eq!(items(&world, before), [told(1, 3), told(3, 4)]);
    let noted = world.rows.read(&NotedRootKey).unwrap().unwrap();
    assert_eq!(noted.number, 3);
}

#[test]
fn what_is_done_beside_the_rules_is_told_as_it_was_done() {
    let mut world = World::with_devices(&[]);
    let before = count(&world);
    let deed = Deed {
        user: alice(),
        request: "backup-1".parse().unwrap(),
        from: "192.0.2.7".into(),
        verb: "backup".into(),
        target: "rows".into(),
    };
    world.tell(Input::Noted(Box::new(deed)));
    assert_eq!(since(&world, before), [item("backup", "rows", "ok")]);
}
