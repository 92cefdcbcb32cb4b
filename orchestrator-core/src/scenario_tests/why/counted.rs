//! The counts of a deployment, its lists and its explanations say the same.

use super::*;

/// The devices that a deployment lists, each with its status: of all, and of each status.
fn seen_by(world: &World, id: DeploymentId) -> Vec<(String, StatusWord)> {
    let list = |status| {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let list = Command::DeviceList(DeviceList {
                deployment: Some(id.0),
                status,
                limit: Some(1),
                after,
                ..DeviceList::default()
            });
            let ResultBody::Devices(page) = world.answer(&list) else {
                panic!("not a device list")
            };
            let items = page.items.into_iter();
            seen.extend(items.map(|item| (item.device, item.status.unwrap())));
            after = page.next;
            if after.is_none() {
                return seen;
            }
        }
    };
    let all = list(None);
    let counts = world.view(id).counts;
    for (status, count) in [
        (StatusWord::Pending, counts.pending),
        (StatusWord::InProgress, counts.in_progress),
        (StatusWord::Successful, counts.successful),
        (StatusWord::Failed, counts.failed),
    ] {
        let of_all = all.iter().filter(|(_, shown)| *shown == status);
        let of_all: Vec<_> = of_all.cloned().collect();
        assert_eq!(list(Some(status)), of_all, "{status:?}");
        assert_eq!(count as usize, of_all.len(), "{status:?}");
    }
    all
}

#[test]
fn a_deployment_lists_whom_it_counts_wherever_they_are_now_s5() {
    use StatusWord::{Failed, Pending, Successful};
    let named = |all: &[(&str, StatusWord)]| {
        let all = all
            .iter()
            .map(|(name, status)| ((*name).to_owned(), *status));
        all.collect::<Vec<_>>()
    };
    let mut world = World::with_devices(&["d1", "d2", "d3", "d4", "d5"]);
    world.create_group("us");
    let id = world.deploy("fw@1.0.0");
    world.say("d1", done(1, id));
    world.say("d2", failed(1, id));
    world.move_to("d1", "us");
    world.remove("d2");
    world.move_to("d5", "us");
    let before = [
        ("d1", Successful),
        ("d2", Failed),
        ("d3", Pending),
        ("d4", Pending),
    ];
    assert_eq!(seen_by(&world, id), named(&before));
    // What is frozen at the end stays, and nobody is added to it.
    world.abort(id);
    world.move_to("d3", "us");
    world.remove("d4");
    world.move_to("d5", "eu");
    assert_eq!(seen_by(&world, id), named(&before));
    let why = |world: &World, device: &str| world.explained(device, id).status;
    assert_eq!(why(&world, "d3"), Some(Pending));
    assert_eq!(why(&world, "d5"), None);
    let gone = world.why_of("d4", Some(id));
    assert_eq!(gone.group, "eu");
    let says = gone.nothing.unwrap().says;
    assert!(says.contains("had not started"), "{says}");
    // Its next life is counted as little as that of any later member.
    world.add_device("d4");
    assert_eq!(seen_by(&world, id), named(&before));
    assert_eq!(why(&world, "d4"), Some(Pending));
}

#[test]
fn whoever_joined_after_the_end_is_in_no_list_of_it() {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    let id = world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    });
    world.abort(id);
    world.move_to("d1", "us");
    assert_eq!(seen_by(&world, id), []);
    assert_eq!(world.explained("d1", id).status, None);
}
