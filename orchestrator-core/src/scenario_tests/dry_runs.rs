use hoist_protocol::device::DeviceInfo;
use hoist_protocol::envelope::PublicKey;

use super::*;
use crate::api::command::rollout::{Phase, Rollout};
use crate::api::command::{EnrollCreate, Verb, VerbEffect};
use crate::api::response::Response;

/// Every changing command as a dry run.
fn dry_runs(claim: &str) -> Vec<Command> {
    let print = PublicKey([9; 32]).fingerprint();
    let approve = format!(r#"{{"device":"d1","fingerprint":"{print}","dryRun":true}}"#);
    let revoke = format!(r#"{{"claim":"{claim}","dryRun":true}}"#);
    let read = |verb: &Verb| {
        let body = match verb {
            Verb::ReleaseAdd => r#"{"manifest":"","dryRun":true}"#,
            Verb::ReleaseRemove => r#"{"release":"new@1","dryRun":true}"#,
            Verb::Deploy => r#"{"release":"fw@1.0.0","group":"eu","dryRun":true}"#,
            Verb::Resume => r#"{"deployment":2,"dryRun":true}"#,
            Verb::Approve => r#"{"deployment":3,"dryRun":true}"#,
            Verb::Abort | Verb::Retry | Verb::Pause => r#"{"deployment":1,"dryRun":true}"#,
            Verb::DeviceAdd => r#"{"device":"d9","group":"eu","dryRun":true}"#,
            Verb::DeviceImport => r#"{"devices":[{"device":"d9","group":"eu"}],"dryRun":true}"#,
            Verb::DeviceLabel => r#"{"selector":"!a","set":{"a":"b"},"dryRun":true}"#,
            Verb::Freeze | Verb::Unfreeze => r#"{"group":"eu","dryRun":true}"#,
            Verb::DeviceMove => r#"{"device":"d1","group":"unassigned","dryRun":true}"#,
            Verb::DeviceHold
            | Verb::DeviceRemove
            | Verb::DeviceRevoke
            | Verb::DeviceTokenRotate => r#"{"device":"d1","dryRun":true}"#,
            Verb::DeviceApprove => approve.as_str(),
            Verb::EnrollCreate => r#"{"group":"eu","uses":5,"dryRun":true}"#,
            Verb::EnrollRevoke => revoke.as_str(),
            Verb::GroupCreate => r#"{"group":"us","dryRun":true}"#,
            Verb::GroupRemove => r#"{"group":"empty","dryRun":true}"#,
            Verb::UserAdd => r#"{"user":"bob","role":"viewer","tokenSha256":"00","dryRun":true}"#,
            Verb::UserRemove => r#"{"user":"bob","dryRun":true}"#,
            Verb::PolicyPut => r#"{"name":"careful","rollout":{"maxInProgress":1},"dryRun":true}"#,
            other => panic!("{other:?} has no dry run"),
        };
        let mut body = serde_json::Deserializer::from_str(body);
        Command::deserialize(*verb, &mut body).unwrap()
    };
    let changing = Verb::ALL
        .iter()
        .filter(|verb| verb.effect() == VerbEffect::Changes);
    changing.map(read).collect()
}

#[test]
fn a_dry_run_of_any_command_writes_nothing_and_does_nothing_but_answer() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    world.add_release("new", "1", &["app"]);
    world.add_release("paused", "1", &["other"]);
    world.add_release("waiting", "1", &["third"]);
    let paused = world.deploy("paused@1");
    world.pause(paused);
    world.deploy_as(Deploy {
        rollout: Some(Rollout {
            phases: vec![Phase {
                devices: Some(1),
                approvals: 1,
                ..Phase::default()
            }],
            ..Rollout::default()
        }),
        ..deploy("waiting@1")
    });
    world.create_group("empty");
    let claim = match world.order(Command::EnrollCreate(EnrollCreate::default())) {
        Answer::ClaimCreated { claim, .. } => claim.to_string(),
        other => panic!("{other:?}"),
    };
    // The second key is one to approve.
    for key in [8, 9] {
        let info = DeviceInfo {
            public_key: Some(PublicKey([key; 32])),
            ..DeviceInfo::default()
        };
        world.tell(Input::Info {
            device: "d1".parse().unwrap(),
            info: Box::new(info),
        });
    }
    let everything = Key(vec![]);
    let before = world.rows.clone();
    for command in dry_runs(&claim) {
        assert!(command.is_dry(), "{command:?}");
        let release = matches!(command, Command::ReleaseAdd(_));
        let mut input = world.input(command.clone());
        input.uses = Some(crate::model::release::Uses::default());
        input.release = release.then(|| verified("newer", "1", &["app"]));
        let decision = world.decide(Input::Command(Box::new(input)));
        assert_eq!(decision.effects, [], "{command:?}");
        match decision.response {
            Some(Response::Reply { answer, .. }) => {
                assert_eq!(refusal(&answer), None, "{command:?}");
            }
            // Users are the adapter's, which finds the wish in the command.
            Some(Response::ManageUser { command, .. }) => assert!(command.is_dry()),
            more => panic!("{command:?} does {more:?}"),
        }
        assert!(before.scan(&everything).eq(world.rows.scan(&everything)));
    }
}

#[test]
fn a_dry_run_is_refused_where_the_command_would_be() {
    let mut world = World::with_devices(&["d1"]);
    let device_add = |device: &str, group: &str| {
        Command::DeviceAdd(DeviceAdd {
            device: device.into(),
            group: Some(group.into()),
            dry_run: true,
            ..DeviceAdd::default()
        })
    };
    let create = |group: &str| {
        Command::GroupCreate(GroupCreate {
            group: group.into(),
            selector: None,
            dry_run: true,
        })
    };
    let deploy = Deploy {
        dry_run: true,
        ..deploy("none@1")
    };
    for (command, code) in [
        (Command::Deploy(deploy), Code::Release),
        (device_add("a b", "eu"), Code::Name),
        (device_add("d9", "nowhere"), Code::Group),
        (device_add("d1", "unassigned"), Code::DeviceExists),
        (create("#"), Code::Name),
    ] {
        let answer = world.order(command.clone());
        assert_eq!(refusal(&answer), Some(code), "{command:?}");
    }
    let release_add = |world: &mut World, release| {
        let mut input = world.input(Command::ReleaseAdd(ReleaseAdd {
            manifest: String::new(),
            dry_run: true,
        }));
        input.release = release;
        refusal(&world.send(input))
    };
    let other = verified("fw", "1.0.0", &["other"]);
    assert_eq!(
        release_add(&mut world, Some(other)),
        Some(Code::ReleaseExists)
    );
    assert_eq!(release_add(&mut world, None), Some(Code::ReleaseInvalid));
}

#[test]
fn a_device_that_would_be_added_gets_no_token() {
    let mut world = World::with_devices(&["d1"]);
    for device in ["d1", "d2"] {
        let answer = world.order(Command::DeviceAdd(DeviceAdd {
            device: device.into(),
            group: Some("eu".into()),
            dry_run: true,
            ..DeviceAdd::default()
        }));
        let body = answer.into_body(|_: &DeviceId, _| panic!("a token is given out"));
        let body = serde_json::to_value(body.unwrap()).unwrap();
        assert_eq!(body, serde_json::json!({"device": device, "group": "eu"}));
    }
}
