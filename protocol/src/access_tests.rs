use super::*;

fn device(id: &str) -> Principal {
    Principal::Device(id.parse().unwrap())
}

fn user(name: &str) -> Principal {
    Principal::User {
        user: name.parse().unwrap(),
        role: Role::Admin,
        groups: Vec::new(),
    }
}

#[test]
fn the_table_is_this_and_no_more() {
    let topics = Topics::default();
    let allowed = |principal: &Principal, action| -> Vec<String> {
        filters(principal, &topics, action).collect()
    };
    let of_device = ["s/d4/d1", "p/d4/d1", "i/d4/d1", "n/d4/d1", "e/d4/d1"];
    let shard = alloc::format!("{}", Shard::of(&"d1".parse().unwrap()));
    let in_full = |below: &[&str]| -> Vec<String> {
        let below = below.iter().map(|below| below.replace("d4", &shard));
        below.map(|below| alloc::format!("hoist/{below}")).collect()
    };
    let d1 = device("d1");
    assert_eq!(allowed(&d1, Action::Publish), in_full(&of_device));
    let read = [
        "e/d4/d1/answer",
        "d/d1",
        "s/d4/d1",
        "p/d4/d1",
        "g/+",
        "r/+",
        "b/+",
        "k/+",
    ];
    assert_eq!(allowed(&d1, Action::Subscribe), in_full(&read));
    let alice = user("alice");
    assert_eq!(
        allowed(&alice, Action::Publish),
        in_full(&["cmd/alice/+/+"])
    );
    let read = ["reply/alice/#", "s/#", "p/#", "i/#", "view/#", "event/#"];
    assert_eq!(allowed(&alice, Action::Subscribe), in_full(&read));
    for action in [Action::Publish, Action::Subscribe] {
        assert_eq!(allowed(&Principal::Service, action), ["hoist/#"]);
    }
}

#[test]
fn a_device_writes_only_its_own_topics() {
    let topics = Topics::default();
    let own: DeviceId = "d1".parse().unwrap();
    let other: DeviceId = "d2".parse().unwrap();
    let may = |topic: Topic| may_publish(&device("d1"), &topics, &topics.format(&topic));
    assert_eq!(may(Topic::Status(own.clone())), Ok(()));
    assert_eq!(may(Topic::Presence(own.clone())), Ok(()));
    assert_eq!(may(Topic::Info(own.clone())), Ok(()));
    assert_eq!(may(Topic::Status(other)), Err(Denied::Rule));
    assert_eq!(may(Topic::DeviceSpec(own)), Err(Denied::Rule));
    assert_eq!(
        may(Topic::GroupSpec("eu".parse().unwrap())),
        Err(Denied::Rule)
    );
}

#[test]
fn a_device_reads_only_its_own_spec_and_what_is_for_all() {
    let topics = Topics::default();
    let may = |filter: &str| may_subscribe(&device("d1"), &topics, filter).is_ok();
    assert!(may("hoist/d/d1") && may("hoist/g/eu") && may("hoist/r/+") && may("hoist/k/1"));
    assert!(!may("hoist/d/d2") && !may("hoist/d/+") && !may("hoist/#") && !may("#"));
    assert!(!may("hoist/s/+/+") && !may("hoist/cmd/#") && !may("$share/x/hoist/g/eu"));
}

#[test]
fn whoever_enrolls_asks_for_its_own_certificate_and_does_nothing_else() {
    let topics = Topics::default();
    let enrolling = Principal::Enrolling {
        device: "d1".parse().unwrap(),
        claim: "c-1".parse().unwrap(),
    };
    let own: DeviceId = "d1".parse().unwrap();
    let other: DeviceId = "d2".parse().unwrap();
    let publish = |topic: &Topic| may_publish(&enrolling, &topics, &topics.format(topic));
    let subscribe = |topic: &Topic| may_subscribe(&enrolling, &topics, &topics.format(topic));
    assert_eq!(publish(&Topic::EnrollRequest(own.clone())), Ok(()));
    assert_eq!(subscribe(&Topic::EnrollAnswer(own.clone())), Ok(()));
    for topic in [
        Topic::EnrollRequest(other.clone()),
        Topic::EnrollAnswer(own.clone()),
        Topic::Presence(own.clone()),
        Topic::Info(own.clone()),
        Topic::Status(own.clone()),
    ] {
        assert_eq!(publish(&topic), Err(Denied::Rule), "{topic}");
    }
    for topic in [Topic::EnrollAnswer(other), Topic::DeviceSpec(own)] {
        assert_eq!(subscribe(&topic), Err(Denied::Rule), "{topic}");
    }
    assert_eq!(
        may_subscribe(&enrolling, &topics, "hoist/g/+"),
        Err(Denied::Rule)
    );
}

#[test]
fn an_operator_commands_under_its_own_name_and_reads_what_people_read() {
    let topics = Topics::default();
    assert_eq!(
        may_publish(&user("alice"), &topics, "hoist/cmd/alice/r1/deploy"),
        Ok(())
    );
    assert_eq!(
        may_publish(&user("alice"), &topics, "hoist/cmd/bob/r1/deploy"),
        Err(Denied::Rule)
    );
    assert_eq!(
        may_publish(&user("alice"), &topics, "hoist/g/eu"),
        Err(Denied::Rule)
    );
    assert!(may_subscribe(&user("alice"), &topics, "hoist/view/#").is_ok());
    assert!(may_subscribe(&user("alice"), &topics, "hoist/s/#").is_ok());
    assert!(may_subscribe(&user("alice"), &topics, "hoist/reply/alice/r1").is_ok());
    assert!(may_subscribe(&user("alice"), &topics, "hoist/reply/bob/#").is_err());
    assert!(may_subscribe(&user("alice"), &topics, "hoist/cmd/#").is_err());
}

#[test]
fn even_the_orchestrator_publishes_only_well_formed_topics() {
    let topics = Topics::default();
    assert!(may_publish(&Principal::Service, &topics, "hoist/g/eu").is_ok());
    assert!(may_publish(&Principal::Service, &topics, "hoist/nonsense").is_err());
    assert!(may_publish(&Principal::Service, &topics, "é/x").is_err());
    assert!(may_subscribe(&Principal::Service, &topics, "hoist/s/#").is_ok());
}
