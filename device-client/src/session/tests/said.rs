//! What is said in a conversation, and what of it arrived.

use super::*;

#[test]
fn only_the_newest_status_waits_for_the_one_on_its_way() {
    // W7
    let mut device = Device::fetching();
    let first = statuses(&device.outputs());
    assert_eq!(first.len(), 1);
    for percent in [20, 40, 60] {
        assert_eq!(statuses(&device.progress(percent)), [], "one is on its way");
    }
    let next = statuses(&device.acknowledge(Carries::status(&first[0])));
    assert_eq!((next.len(), percent(&next[0])), (1, Some(60)));
    assert_eq!(statuses(&device.acknowledge(Carries::status(&next[0]))), []);
}

#[test]
fn what_was_on_its_way_ends_with_its_connection_and_the_last_status_is_said_again() {
    let mut device = Device::fetching();
    let said = statuses(&device.outputs());
    device.progress(50);
    device.session.disconnected(&mut device.clock);
    assert_eq!(statuses(&device.outputs()), []);
    assert_eq!(statuses(&device.progress(70)), [], "nobody hears it");
    let late = device.acknowledge(Carries::status(&said[0]));
    assert_eq!(late, [], "it was of another connection");
    device.connect();
    let outputs = device.hear_own(own_spec(NOW_MS, "eu"));
    let again = statuses(&outputs);
    assert_eq!(percent(&again[0]), Some(70));
}

#[test]
fn a_device_without_a_spec_says_once_who_it_is() {
    // W4
    let mut device = Device::new(known());
    device.connect();
    device.session.announce();
    assert_eq!(device.outputs(), [Output::Describe(InfoExtent::Full)]);
    assert_eq!(
        device.say(InfoExtent::Full).unwrap().public_key,
        Some(KEY),
        "nobody knows its key"
    );
    device.session.announce();
    assert_eq!(device.outputs(), []);

    let mut device = Device::member();
    device.session.announce();
    assert_eq!(device.outputs(), [], "it has one");
}

#[test]
fn a_device_that_gets_an_older_spec_of_its_own_tells_of_the_one_it_obeys() {
    let mut device = Device::member();
    device.session.disconnected(&mut device.clock);
    device.connect();
    device.hear_own(own_spec(NOW_MS - 1, "us"));
    assert!(device.session.announces());
    let told = device.say(InfoExtent::Full).unwrap();
    assert_eq!(told.stored_spec, Some(NOW_MS.to_be_bytes().to_vec()));
    assert_eq!(told.public_key, None, "its spec shows it");
}

#[test]
fn a_report_of_a_device_on_itself_is_said_again_only_when_it_differs_or_may_be_lost() {
    let mut device = Device::member();
    assert_eq!(device.say(InfoExtent::IfChanged), None);
    device.session.disconnected(&mut device.clock);
    device.connect();
    device.hear_own(own_spec(NOW_MS, "eu"));
    assert_eq!(device.say(InfoExtent::IfChanged), None, "it arrived");

    assert!(device.say(InfoExtent::Full).is_some());
    device.session.disconnected(&mut device.clock);
    device.connect();
    device.hear_own(own_spec(NOW_MS, "eu"));
    assert!(
        device.say(InfoExtent::IfChanged).is_some(),
        "it may be lost"
    );
}

#[test]
fn a_resync_is_answered_when_the_last_full_report_is_acknowledged() {
    // W6
    let mut device = Device::member();
    let called = DeviceSpec {
        resync: Resync(3),
        ..own_spec(NOW_MS + 1, "eu")
    };
    let outputs = device.hear_own(called);
    let answered = |outputs: &[Output]| {
        let mut records = outputs.iter().filter_map(|output| match output {
            Output::Keep(Keep::Record(record)) => Some(record.device_resync),
            _ => None,
        });
        records.next_back() == Some(Resync(3))
    };
    let status = statuses(&outputs);
    for _ in 0..2 {
        device.say(InfoExtent::Full).unwrap();
    }
    assert!(!answered(&device.acknowledge(Carries::status(&status[0]))));
    let full = Carries::Info(InfoExtent::Full);
    assert!(!answered(&device.acknowledge(full)), "one is on its way");
    assert!(answered(&device.acknowledge(full)));
}
