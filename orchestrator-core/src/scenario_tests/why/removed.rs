use super::*;

#[test]
fn a_removed_device_is_said_to_be_removed_as_far_as_its_records_show_s14() {
    let (mut world, id) = deployed(&["d1", "d2"]);
    world.say("d1", failed(1, id));
    world.remove("d1");
    world.remove("d2");
    for wanted in [None, Some(id)] {
        let why = world.why_of("d1", wanted);
        let nothing = why.nothing.unwrap();
        assert_eq!((nothing.why, why.group.as_str()), (Why::Removed, "eu"));
        assert!(
            nothing
                .says
                .contains("in deployment 1 it failed: script-failed")
        );
        assert!(nothing.next.contains("hoist device add d1"));
        assert!(why.last_seen.is_some() && why.deployments.is_empty());
    }
    let newer = world.deploy_as(Deploy {
        group: Some("us".into()),
        ..deploy("fw@1.0.0")
    });
    let refused = |device: &str, deployment: Option<DeploymentId>| {
        let wish = Command::DeviceWhy(command::DeviceWhy {
            device: device.into(),
            deployment: deployment.map(|id| id.0),
        });
        let answer = |reader: &mut query::Reader| wish.answer(reader, &alice(), world.now);
        world.rows.query(answer).unwrap().unwrap_err().code
    };
    assert_eq!(refused("d1", Some(newer)), Code::Device, "it took no part");
    assert_eq!(refused("d2", None), Code::Device, "it left nothing behind");
    world.add_device("d1");
    assert_eq!(world.explained("d1", id).why, Why::Failed);
}

#[test]
fn of_a_removed_device_the_group_that_it_obeyed_last_is_named() {
    let (mut world, id) = deployed(&["d1"]);
    world.create_group("us");
    world.say("d1", working(1, id, Step::Installing));
    world.move_to("d1", "us");
    world.remove("d1");
    assert_eq!(world.why_of("d1", None).group, "us");
    // Each life ends in a group of its own.
    world.add_device("d1");
    world.remove("d1");
    assert_eq!(world.why_of("d1", None).group, "eu");
}
