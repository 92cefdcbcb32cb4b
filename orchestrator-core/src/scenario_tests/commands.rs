use super::*;
use crate::command::ReleaseList;

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
    world.pass(crate::request::REMEMBER_MS);
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
    input.role = Some(Role::Deployer);
    input.groups = vec!["us".parse().unwrap()];
    assert_eq!(refusal(&world.send(input)), Some(Code::Role));
    assert_eq!(world.listed(), []);
    let mut create = world.input(Command::GroupCreate(GroupRef {
        group: "asia".into(),
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
fn device_lists_page_through_everything_under_sixteen_kilobytes() {
    let names: Vec<String> = (0..250).map(|n| format!("device-{n:03}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with_devices(&devices);
    let id = world.deploy("fw@1.0.0");
    world.say("device-007", failed(1, id));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let list = DeviceList {
            group: Some("eu".into()),
            after,
            ..DeviceList::default()
        };
        let body = world.answer(&Command::DeviceList(list));
        assert!(serde_json::to_vec(&body).unwrap().len() < crate::command::JSON_BYTES_MAX);
        let ResultBody::Devices(page) = body else {
            panic!("not a device list")
        };
        seen.extend(page.items.into_iter().map(|item| item.device));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, names);
    let status = |status, wanted| {
        let list = DeviceList {
            deployment: Some(id.0),
            status: Some(status),
            limit: Some(5),
            ..DeviceList::default()
        };
        let ResultBody::Devices(page) = world.answer(&Command::DeviceList(list)) else {
            panic!("not a device list")
        };
        assert_eq!(page.items.len(), wanted);
        page.items
    };
    let item = &status(StatusWord::Failed, 1)[0];
    assert_eq!(item.script.as_deref(), Some("verify"));
    assert_eq!((item.exit, item.rollback.as_deref()), (Some(1), Some("ok")));
    status(StatusWord::Pending, 5);
    status(StatusWord::Successful, 0);
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
    let show = Command::DeploymentShow(crate::command::DeploymentRef { deployment: 1 });
    let shown = serde_json::to_value(world.answer(&show)).unwrap();
    assert_eq!(shown["rolledBack"], 1);
    assert_eq!(
        shown["failedDevices"][0],
        serde_json::json!({"device":"d1","reason":"script-failed","script":"verify",
            "scriptEnd":"exit","exit":1,"rollback":"ok"})
    );
}

#[test]
fn the_versions_of_one_name_are_listed_in_pages_of_their_own() {
    let mut world = World::with_devices(&[]);
    for name in ["fv", "fw", "fw-2"] {
        world.add_release(name, "1.1.0", &["app"]);
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let list = ReleaseList {
            name: Some("fw".into()),
            limit: Some(1),
            after,
        };
        let ResultBody::Releases(page) = world.answer(&Command::ReleaseList(list)) else {
            panic!("not a release list")
        };
        seen.extend(page.items.into_iter().map(|item| item.release));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["fw@1.0.0", "fw@1.1.0"]);
}

#[test]
fn groups_and_releases_are_listed_in_pages() {
    let mut world = World::with_devices(&["d1"]);
    world.add_release("fw", "1.1.0", &["app"]);
    let page = |after: Option<&str>| Page {
        limit: Some(1),
        after: after.map(Into::into),
    };
    let ResultBody::Groups(groups) = world.answer(&Command::GroupList(page(None))) else {
        panic!("not a group list")
    };
    assert_eq!(
        (groups.items[0].group.as_str(), groups.items[0].members),
        ("eu", 1)
    );
    let of_groups = groups.next.unwrap();
    let list = |after: Option<&str>| {
        Command::ReleaseList(ReleaseList {
            limit: Some(1),
            after: after.map(Into::into),
            ..ReleaseList::default()
        })
    };
    let ResultBody::Releases(first) = world.answer(&list(None)) else {
        panic!("not a release list")
    };
    let second = list(first.next.as_deref());
    let ResultBody::Releases(releases) = world.answer(&second) else {
        panic!("not a release list")
    };
    assert_eq!(releases.items[0].release, "fw@1.1.0");
    assert_eq!(releases.next, None);
    // The cursor of one list means nothing to another, nor to another filter of the same.
    let devices = |group: Option<&str>, after: &str| {
        Command::DeviceList(DeviceList {
            group: group.map(Into::into),
            after: Some(after.into()),
            ..DeviceList::default()
        })
    };
    for strange in [
        list(Some(&of_groups)),
        devices(None, &of_groups),
        devices(Some("eu"), "d1"),
        Command::GroupList(page(first.next.as_deref())),
        Command::GroupList(page(Some("eu"))),
    ] {
        let rows = &mut world.rows;
        let answer = rows.query(|reader| query::answer(reader, &alice(), &strange, world.now));
        assert_eq!(
            answer.unwrap().unwrap_err().code,
            Code::Cursor,
            "{strange:?}"
        );
    }
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
    assert!("launch".parse::<crate::command::Verb>().is_err());
}

#[test]
fn a_reply_with_a_token_is_made_anew_and_its_answer_holds_none() {
    let mut world = World::with_devices(&[]);
    let answer = world.add_device("d1");
    let body = answer.into_body(|device: &DeviceId, issue| crate::reply::DeviceSecrets {
        token: format!("{issue}.{device}"),
        root_sha256: "aa".into(),
    });
    let reply = crate::reply::Reply::new(&"r1".parse().unwrap(), body);
    let json = serde_json::to_string(&reply).unwrap();
    assert_eq!(
        json,
        r#"{"apiVersion":"hoist/v1","request":"r1","ok":true,"result":{"device":"d1","token":"1.d1","rootSha256":"aa"}}"#
    );
    let read: crate::reply::Reply<BTreeMap<String, String>> = serde_json::from_str(&json).unwrap();
    assert_eq!(read.result.unwrap()["token"], "1.d1");
}

#[test]
fn long_names_make_shorter_pages_never_larger_replies() {
    let mut world = World::with_devices(&[]);
    let long = "x".repeat(64);
    let artifacts: Vec<String> = (0..16).map(|n| format!("{n:02}{}", &long[2..])).collect();
    let artifacts: Vec<&str> = artifacts.iter().map(String::as_str).collect();
    for n in 0..20 {
        world.add_release(&long, &format!("{n:02}{}", "\"".repeat(60)), &artifacts);
    }
    let mut seen = 0;
    let mut after = None;
    loop {
        let list = ReleaseList {
            after,
            ..ReleaseList::default()
        };
        let body = world.answer(&Command::ReleaseList(list));
        assert!(serde_json::to_vec(&body).unwrap().len() < crate::command::JSON_BYTES_MAX - 512);
        let ResultBody::Releases(page) = body else {
            panic!("not a release list")
        };
        seen += page.items.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // The release of every test world, and these.
    assert_eq!(seen, 21);
}

#[test]
fn lists_of_an_unknown_group_are_refused() {
    let world = World::with_devices(&[]);
    let list = DeviceList {
        group: Some("us".into()),
        ..DeviceList::default()
    };
    let command = Command::DeviceList(list);
    let answer = world
        .rows
        .query(|reader| query::answer(reader, &alice(), &command, world.now));
    assert_eq!(answer.unwrap().unwrap_err().code, Code::Group);
}

#[test]
fn deployments_are_listed_by_group_in_pages() {
    let mut world = World::with_devices(&["d1"]);
    for n in 0..3 {
        let name = format!("r{n}");
        world.add_release(&name, "1", &["app"]);
        world.deploy(&format!("{name}@1"));
    }
    let list = |after: Option<&str>| {
        Command::DeploymentList(crate::command::DeploymentList {
            group: Some("eu".into()),
            limit: Some(2),
            after: after.map(Into::into),
        })
    };
    let ids = |body: ResultBody| match body {
        ResultBody::Deployments(page) => {
            let ids: Vec<u32> = page.items.iter().map(|view| view.deployment.0).collect();
            (ids, page.next)
        }
        other => panic!("not a deployment list: {other:?}"),
    };
    let (first, next) = ids(world.answer(&list(None)));
    assert_eq!(first, [1, 2]);
    let second = world.answer(&list(next.as_deref()));
    assert_eq!(ids(second), (vec![3], None));
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
    let show = Command::ReleaseShow(crate::command::ReleaseRef {
        release: format!("{long}@{long}"),
    });
    assert!(matches!(world.answer(&show), ResultBody::Release(_)));
}
