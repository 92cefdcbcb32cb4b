use super::*;

#[test]
fn a_redelivered_command_is_executed_once_and_answered_the_same() {
    // bad-inputs row 30
    let mut world = World::with_devices(&["d1"]);
    let input = world.input(Command::Deploy(deploy("fw@1.0.0")));
    let first = world.send(input.clone());
    world.abort(DeploymentId(1));
    let other = CommandInput {
        body_hash: [0; 32],
        ..input.clone()
    };
    assert_eq!(world.send(input), first);
    assert_eq!(world.listed(), []);
    assert_eq!(refusal(&world.send(other)), Some(Code::RequestReused));
}

#[test]
fn an_answer_is_forgotten_after_seven_days() {
    let mut world = World::with_devices(&[]);
    let input = world.input(Command::Deploy(deploy("fw@1.0.0")));
    let key = RequestKey(input.user.clone(), input.request.clone());
    world.send(input);
    assert!(world.rows.read(&key).unwrap().is_some());
    world.pass(crate::api::request::REMEMBER_MS);
    world.fire_due();
    assert!(world.rows.read(&key).unwrap().is_none());
}

#[test]
fn a_role_or_group_that_does_not_allow_it_is_refused() {
    // bad-inputs row 25
    let mut world = World::with_devices(&[]);
    let mut input = world.input(Command::Deploy(deploy("fw@1.0.0")));
    input.role = Some(Role::Viewer);
    assert_eq!(refusal(&world.send(input.clone())), Some(Code::Role));
    input.role = None;
    assert_eq!(refusal(&world.send(input.clone())), Some(Code::Role));
    // The body is judged after the role, and a verb that nobody has is nobody's secret.
    let mut malformed = world.input(Command::Deploy(deploy("fw@1.0.0")));
    malformed.command = Err(crate::model::error::Rejection::new(
        Code::Command,
        "a field is missing",
    ));
    for (role, verb, code) in [
        (Some(Role::Viewer), "deploy", Code::Role),
        (None, "deploy", Code::Role),
        (Some(Role::Deployer), "deploy", Code::Command),
        (Some(Role::Viewer), "device-show", Code::Command),
        (Some(Role::Viewer), "dance", Code::Command),
    ] {
        let input = CommandInput {
            role,
            verb: verb.to_owned(),
            ..malformed.clone()
        };
        assert_eq!(refusal(&world.send(input)), Some(code), "{role:?} {verb}");
    }
    input.role = Some(Role::Deployer);
    input.groups = vec!["us".parse().unwrap()];
    assert_eq!(refusal(&world.send(input)), Some(Code::Role));
    assert_eq!(world.listed(), []);
    let mut create = world.input(Command::GroupCreate(GroupCreate {
        group: "asia".into(),
        selector: None,
        dry_run: false,
    }));
    create.groups = vec!["us".parse().unwrap()];
    assert_eq!(refusal(&world.send(create)), Some(Code::Role));
}

#[test]
fn a_release_is_immutable() {
    let mut world = World::with_devices(&[]);
    let again = world.add_release("fw", "1.0.0", &["app"]);
    assert!(matches!(again, Answer::ReleaseAdded(_)));
    let other = world.add_release("fw", "1.0.0", &["other"]);
    assert_eq!(refusal(&other), Some(Code::ReleaseExists));
}

#[test]
fn names_outside_the_alphabet_are_refused() {
    // bad-inputs row 71
    let mut world = World::with_devices(&[]);
    let long = "x".repeat(1_000_000);
    for group in ["a b", "#", "", long.as_str()] {
        let answer = world.create_group(group);
        assert_eq!(refusal(&answer), Some(Code::Name));
    }
}

#[test]
fn a_device_added_twice_is_the_same_device() {
    let mut world = World::with_devices(&["d1"]);
    let first = world.add_device("d1");
    assert!(matches!(first, Answer::DeviceAdded { issue: 1, .. }));
    let elsewhere = world.order(Command::DeviceAdd(DeviceAdd {
        device: "d1".into(),
        ..DeviceAdd::default()
    }));
    assert_eq!(refusal(&elsewhere), Some(Code::DeviceExists));
    let key = GroupCountKey("eu".parse().unwrap());
    assert_eq!(world.rows.read(&key).unwrap().unwrap().members, 1);
}

#[test]
fn a_device_that_was_not_heard_yet_is_read_when_it_is_added() {
    let mut world = World::with_devices(&[]);
    let add = |world: &mut World| {
        let add = DeviceAdd {
            device: "d1".into(),
            ..DeviceAdd::default()
        };
        let input = world.input(Command::DeviceAdd(add));
        world.tell(Input::Command(Box::new(input)))
    };
    let read = Effect::ReadReports("d1".parse().unwrap());
    assert!(add(&mut world).contains(&read));
    assert!(add(&mut world).contains(&read), "asked for once more");
    world.heard("d1", PresenceState::Online, 1);
    assert!(!add(&mut world).contains(&read));
}

#[test]
fn the_deployment_view_is_as_documented() {
    let mut world = World::with_devices(&["d1"]);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    let view = serde_json::to_string(&world.view(id)).unwrap();
    let expected = concat!(
        r#"{"apiVersion":"hoist/v1","deployment":1,"release":"fw@1.0.0","group":"eu","#,
        r#""state":"active","reason":null,"settled":true,"counts":{"members":1,"pending":0,"#,
        r#""inProgress":0,"successful":0,"failed":1},"steps":{"downloading":0,"downloaded":0,"#,
        r#""installing":0,"rebooting":0,"retrying":0},"failures":[{"reason":"script-failed","#,
        r#""count":1}],"createdAt":"2027-01-15T08:00:30Z","updatedAt":"2027-01-15T08:00:30Z"}"#
    );
    assert_eq!(view, expected);
    let show = Command::DeploymentShow(crate::api::command::DeploymentShow { deployment: 1 });
    let shown = serde_json::to_value(world.answer(&show)).unwrap();
    assert_eq!(shown["rolledBack"], 1);
    assert_eq!(
        shown["failedDevices"][0],
        serde_json::json!({"device":"d1","reason":"script-failed","script":"verify",
            "scriptEnd":"exit","exit":1,"rollback":"ok"})
    );
}

#[test]
fn commands_read_strictly_and_write_what_they_read() {
    // bad-inputs row 21: unknown fields
    let read = |verb: &str, json: &str| {
        let mut body = serde_json::Deserializer::from_str(json);
        Command::deserialize(verb.parse().unwrap(), &mut body)
    };
    let json = r#"{"release":"fw@1","group":"eu","completeWhen":"all-successful","timeoutSecs":9}"#;
    let Ok(Command::Deploy(deploy)) = read("deploy", json) else {
        panic!("not a deploy")
    };
    assert_eq!(serde_json::to_string(&deploy).unwrap(), json);
    assert!(read("deploy", r#"{"release":"fw@1","grup":"eu"}"#).is_err());
    assert!("launch".parse::<crate::api::command::Verb>().is_err());
}

#[test]
fn a_reply_with_a_token_is_made_anew_and_its_answer_holds_none() {
    let mut world = World::with_devices(&[]);
    let answer = world.add_device("d1");
    let body = answer.into_body(|device: &DeviceId, issue| crate::reply::DeviceSecrets {
        token: format!("{issue}.{device}"),
        root_sha256: "aa".into(),
        root_number: 1,
    });
    let reply = crate::reply::Reply::new(&"r1".parse().unwrap(), body);
    let json = serde_json::to_string(&reply).unwrap();
    assert_eq!(
        json,
        r#"{"apiVersion":"hoist/v1","request":"r1","ok":true,"result":{"device":"d1","token":"1.d1","rootSha256":"aa","rootNumber":1}}"#
    );
    let read: crate::reply::Reply<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&json).unwrap();
    assert_eq!(read.result.unwrap()["token"], "1.d1");
}

#[test]
fn a_refusal_never_repeats_more_than_a_name_can_be_long() {
    let mut world = World::with_devices(&[]);
    let long = "é".repeat(8_000);
    for deploy in [
        deploy(&long),
        Deploy {
            start: Some(long.clone()),
            ..deploy("fw@1.0.0")
        },
    ] {
        let Answer::Refused(rejection) = world.order(Command::Deploy(deploy)) else {
            panic!("accepted")
        };
        assert!(rejection.detail.len() < 400, "{}", rejection.detail.len());
    }
}

#[test]
fn the_largest_release_fits_in_its_row() {
    // What can be added can be read again: sealed manifest, manifest and names.
    let long = "x".repeat(64);
    let text = |n: usize| format!("{n:02}{}", &long[2..]);
    let artifacts: Vec<String> = (0..16).map(text).collect();
    let artifacts: Vec<&str> = artifacts.iter().map(String::as_str).collect();
    let mut world = World::with_devices(&[]);
    let mut release = verified(&long, &long, &artifacts);
    release.manifest.device_types = (0..16).map(text).collect();
    release.manifest.attributes = (0..16).map(|n| (text(n), text(n))).collect();
    release.sealed = vec![0; 8_192 + hoist_protocol::envelope::SEAL_BYTES];
    let mut input = world.input(Command::ReleaseAdd(ReleaseAdd {
        manifest: String::new(),
        dry_run: false,
    }));
    input.release = Some(release);
    assert!(matches!(world.send(input), Answer::ReleaseAdded(_)));
    let show = Command::ReleaseShow(crate::api::command::ReleaseShow {
        release: format!("{long}@{long}"),
    });
    assert!(matches!(world.answer(&show), ResultBody::Release(_)));
}
