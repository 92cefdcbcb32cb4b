use alloc::vec::Vec;

use super::*;
use crate::access::{REPORTS, SINGLE_READER, is_report, single_reader};
use crate::filter::Family;

fn every_topic() -> Vec<Topic> {
    let device: DeviceId = "dev-01".parse().unwrap();
    alloc::vec![
        Topic::GroupSpec("eu".parse().unwrap()),
        Topic::DeviceSpec(device.clone()),
        Topic::Release(ReleaseId([0xab; 16])),
        Topic::Root(1),
        Topic::Status(device.clone()),
        Topic::Presence(device.clone()),
        Topic::Info(device.clone()),
        Topic::EnrollRequest(device.clone()),
        Topic::EnrollAnswer(device.clone()),
        Topic::Blocks(ArtifactId([1; 16])),
        Topic::Needs(device),
        Topic::Command {
            user: "alice".parse().unwrap(),
            request: "r1".parse().unwrap(),
            verb: "deploy".parse().unwrap(),
        },
        Topic::Reply {
            user: "alice".parse().unwrap(),
            request: "r1".parse().unwrap()
        },
        Topic::View(View::Deployment(DeploymentId(17))),
        Topic::View(View::Group("eu".parse().unwrap())),
        Topic::View(View::Fleet),
        Topic::View(View::Health),
        Topic::Event("deployment".parse().unwrap()),
    ]
}

#[test]
fn format_and_parse_are_inverse_for_every_row() {
    let topics = Topics::default();
    for topic in every_topic() {
        let text = topics.format(&topic);
        assert_eq!(topics.parse(&text), Ok(topic), "{text}");
    }
}

#[test]
fn every_topic_fits_the_strictest_broker() {
    for topic in every_topic() {
        let text = Topics::default().format(&topic);
        assert!(text.matches('/').count() <= 7, "{text}");
        assert!(text.len() <= TOPIC_BYTES_MAX);
    }
}

#[test]
fn what_is_in_no_row_is_refused_with_its_reason() {
    // bad-inputs rows 1 and 3
    let topics = Topics::default();
    assert!(matches!(
        topics.parse("other/g/eu"),
        Err(TopicError::Namespace { .. })
    ));
    assert!(matches!(
        topics.parse("hoistg/eu"),
        Err(TopicError::Namespace { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/x/eu"),
        Err(TopicError::Unknown { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/g/eu/x"),
        Err(TopicError::Unknown { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/cmd/a/b/c/d"),
        Err(TopicError::Unknown { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/g"),
        Err(TopicError::Unknown { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/g/"),
        Err(TopicError::Id { .. })
    ));
    assert!(matches!(
        topics.parse("hoist/k/01"),
        Err(TopicError::Unknown { .. })
    ));
    assert!(matches!(
        topics.parse("é/x"),
        Err(TopicError::Character { found: 'é' })
    ));
    assert!(matches!(
        topics.parse("hoist/g/+"),
        Err(TopicError::Character { found: '+' })
    ));
    assert!(matches!(
        topics.parse("hoist/g/a\0"),
        Err(TopicError::Character { .. })
    ));
    assert!(matches!(
        topics.parse(""),
        Err(TopicError::Length { length: 0 })
    ));
    assert!(matches!(
        topics.parse(&"a".repeat(65_535)),
        Err(TopicError::Length { .. })
    ));
}

#[test]
fn a_device_topic_under_a_foreign_shard_is_refused() {
    let topics = Topics::default();
    let device: DeviceId = "dev-01".parse().unwrap();
    let wrong = Shard(Shard::of(&device).0 ^ 1);
    let text = alloc::format!("hoist/s/{wrong}/{device}");
    assert!(matches!(topics.parse(&text), Err(TopicError::Shard { .. })));
}

#[test]
fn a_filter_with_a_misplaced_wildcard_is_refused() {
    // bad-inputs rows 2 and 4
    for good in ["#", "+", "a/#", "+/b/+", "hoist/s/+/+"] {
        assert_eq!(check_filter(good), Ok(()), "{good}");
    }
    for bad in [
        "a/#/b",
        "a#",
        "a+/b",
        "",
        "$share/g/a",
        "$SYS/#",
        "é/#",
        "a/b\0",
    ] {
        assert!(check_filter(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn covers_means_that_no_matched_topic_escapes() {
    assert!(covers("hoist/s/+/+", "hoist/s/7f/d1"));
    assert!(covers("hoist/s/+/+", "hoist/s/+/d1"));
    assert!(!covers("hoist/s/+/+", "hoist/s/#"));
    assert!(!covers("hoist/s/+/+", "hoist/s/+"));
    assert!(covers("hoist/view/#", "hoist/view/#"));
    assert!(covers("#", "hoist/#"));
    assert!(!covers("hoist/d/d1", "hoist/d/+"));
    assert!(!covers("hoist/+", "#"));
}

/// The kinds that a topic is of.
fn families(topic: &Topic) -> Vec<Family> {
    match topic {
        Topic::GroupSpec(_) => alloc::vec![Family::GroupSpec],
        Topic::DeviceSpec(_) => alloc::vec![Family::DeviceSpec],
        Topic::Release(_) => alloc::vec![Family::Release],
        Topic::Root(_) => alloc::vec![Family::Root],
        Topic::Status(_) => alloc::vec![Family::Status],
        Topic::Presence(_) => alloc::vec![Family::Presence],
        Topic::Info(_) => alloc::vec![Family::Info],
        Topic::EnrollRequest(_) => alloc::vec![Family::EnrollRequest],
        Topic::EnrollAnswer(_) => alloc::vec![Family::EnrollAnswer],
        Topic::Blocks(_) => alloc::vec![Family::Blocks],
        Topic::Needs(_) => alloc::vec![Family::Needs],
        Topic::Command { .. } => alloc::vec![Family::Command],
        Topic::Reply { .. } => alloc::vec![Family::Reply],
        Topic::View(View::Deployment(_)) => {
            alloc::vec![Family::View, Family::DeploymentView]
        }
        Topic::View(_) => alloc::vec![Family::View],
        Topic::Event(_) => alloc::vec![Family::Event],
    }
}

#[test]
fn a_filter_of_a_kind_takes_its_topics_and_no_others() {
    let topics = Topics::default();
    for topic in every_topic() {
        let text = topics.format(&topic);
        let takes = |filter: Filter| matches(&topics.filter(filter), &text);
        let found: Vec<Family> = Family::ALL
            .into_iter()
            .filter(|family| takes(Filter::Every(*family)))
            .collect();
        assert_eq!(found, families(&topic), "{text}");
        let below = |family: &Family| takes(Filter::Below(*family));
        assert!(found.iter().all(below) && takes(Filter::All), "{text}");
        let single = SINGLE_READER.into_iter().any(takes);
        assert_eq!(single, single_reader(&topic), "{text}");
        assert_eq!(REPORTS.into_iter().any(takes), is_report(&topic), "{text}");
    }
    for family in Family::ALL {
        for filter in [Filter::Every(family), Filter::Below(family), Filter::All] {
            assert_eq!(check_filter(&topics.filter(filter)), Ok(()));
        }
    }
}
