//! Lists are read in pages.

use super::*;
use crate::api::command::ReleaseList;

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
        assert!(serde_json::to_vec(&body).unwrap().len() < hoist_protocol::limit::JSON_BYTES_MAX);
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
    assert_eq!(item.script, Some(ScriptKind::Verify.into()));
    assert_eq!(
        (item.exit, &item.rollback),
        (Some(1), &Some(Rollback::Succeeded.into()))
    );
    status(StatusWord::Pending, 5);
    status(StatusWord::Successful, 0);
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
    let page = |after: Option<&str>| GroupList {
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
        let answer = rows.query(|reader| strange.answer(reader, &alice(), world.now));
        assert_eq!(
            answer.unwrap().unwrap_err().code,
            Code::Cursor,
            "{strange:?}"
        );
    }
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
        assert!(
            serde_json::to_vec(&body).unwrap().len() < hoist_protocol::limit::JSON_BYTES_MAX - 512
        );
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
        .query(|reader| command.answer(reader, &alice(), world.now));
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
        Command::DeploymentList(crate::api::command::DeploymentList {
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
fn a_list_of_whom_nobody_matches_ends_early_and_goes_on_to_the_end() {
    let names: Vec<String> = (0..2_500).map(|number| format!("d{number:04}")).collect();
    let devices: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with_devices(&devices);
    world.deploy("fw@1.0.0");
    let ask = |status, after: Option<String>| {
        let list = DeviceList {
            selector: None,
            group: Some("eu".into()),
            status: Some(status),
            deployment: Some(1),
            limit: Some(100),
            after,
        };
        match world.answer(&Command::DeviceList(list)) {
            ResultBody::Devices(page) => page,
            other => panic!("{other:?}"),
        }
    };
    let failed = ask(StatusWord::Failed, None);
    assert!(failed.items.is_empty(), "nobody has a record");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = ask(StatusWord::Pending, after);
        assert!(page.items.len() <= 100);
        seen.extend(page.items.into_iter().map(|item| item.device));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, names, "each once, in order");
    let fleet = |after: Option<String>| {
        let list = DeviceList {
            status: Some(StatusWord::Failed),
            after,
            ..DeviceList::default()
        };
        match world.answer(&Command::DeviceList(list)) {
            ResultBody::Devices(page) => page,
            other => panic!("{other:?}"),
        }
    };
    let first = fleet(None);
    assert!(first.items.is_empty());
    let after = first.next.expect("more than one request may look at");
    assert_eq!(fleet(Some(after)).next, None);
}
