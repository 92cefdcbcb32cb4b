use hoist_protocol::device::Installed;
use hoist_protocol::id::SessionCounter;

use super::*;
use crate::model::row::PresenceRecord;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
}

fn artifact(text: &str, depends: &[(&str, &str)], provides: &[(&str, &str)]) -> ArtifactManifest {
    ArtifactManifest {
        name: name(text),
        version: "2.0.0".into(),
        artifact_type: "files".into(),
        provides: pairs(provides),
        depends: pairs(depends),
        payloads: Vec::new(),
        scripts: Vec::new(),
        reboot: false,
        disk_need: 0,
    }
}

/// Counter 5 of `app`.
fn candidate() -> Candidate {
    Candidate {
        release: ReleaseManifest {
            name: name("fw"),
            version: "2.0.0".into(),
            counter: 5,
            floor: 0,
            device_types: Vec::new(),
            attributes: Vec::new(),
            artifacts: Vec::new(),
        },
        names: vec![name("app")],
        artifacts: vec![artifact("app", &[], &[])],
        provided: Provided::new(),
        allow_downgrade: false,
    }
}

/// A device that has `app` in version 1.0.0 from a release with this counter.
fn device(counter: u64) -> DeviceRow {
    DeviceRow {
        agent: "1.0.0".into(),
        device_type: "pump".into(),
        inventory: vec![Installed {
            name: name("app"),
            version: "1.0.0".into(),
            counter,
        }],
        ..DeviceRow::new(0)
    }
}

fn facts(attributes: &[(&str, &str)], floor: u64) -> FactsRow {
    FactsRow {
        attributes: pairs(attributes),
        floor,
    }
}

#[test]
fn a_lower_counter_is_a_downgrade_unless_it_is_allowed_and_never_below_the_floor() {
    let mut candidate = candidate();
    let known = facts(&[], 0);
    assert_eq!(candidate.refusal(&device(5), Some(&known)), None);
    let refused = candidate.refusal(&device(6), Some(&known));
    assert_eq!(refused, Some(Reason::Downgrade));
    let mut other = device(6);
    other.inventory[0].name = name("config");
    assert_eq!(candidate.refusal(&other, Some(&known)), None, "of another");
    candidate.allow_downgrade = true;
    assert_eq!(candidate.refusal(&device(6), Some(&known)), None);
    let refused = candidate.refusal(&device(6), Some(&facts(&[], 6)));
    assert_eq!(refused, Some(Reason::Downgrade));
}

#[test]
fn types_and_attributes_are_judged_as_far_as_they_are_known() {
    let mut candidate = candidate();
    candidate.release.device_types = vec!["valve".into()];
    let unfit = Some(Reason::Incompatible);
    assert_eq!(candidate.refusal(&device(1), None), unfit);
    candidate.release.device_types.push("pump".into());
    assert_eq!(candidate.refusal(&device(1), None), None);
    candidate.release.attributes = pairs(&[("board", "revB"), ("boot", ">=2")]);
    let judged = |of: &[(&str, &str)]| candidate.refusal(&device(1), Some(&facts(of, 0)));
    assert_eq!(judged(&[("board", "revB"), ("boot", "2.1")]), None);
    assert_eq!(judged(&[("board", "revA"), ("boot", "2.1")]), unfit);
    assert_eq!(judged(&[("board", "revB")]), unfit);
    assert_eq!(candidate.refusal(&device(1), None), None, "not known");
    let unheard = DeviceRow {
        agent: String::new(),
        device_type: String::new(),
        ..device(9)
    };
    assert_eq!(candidate.refusal(&unheard, None), None, "never heard");
}

#[test]
fn a_dependency_is_met_by_what_is_installed_comes_before_or_is_provided() {
    let mut candidate = candidate();
    let missing = Some(Reason::MissingDependency);
    let mut judged = |depends: &[(&str, &str)], before: Option<ArtifactManifest>| {
        let last = artifact("config", depends, &[]);
        candidate.artifacts = before.into_iter().chain([last]).collect();
        candidate.refusal(&device(1), None)
    };
    assert_eq!(judged(&[("app", ">=1, <2")], None), None);
    assert_eq!(judged(&[("app", ">=2")], None), missing);
    let app = artifact("app", &[], &[("api", "3.1.0")]);
    assert_eq!(judged(&[("app", ">=2")], Some(app.clone())), None);
    assert_eq!(
        judged(&[("app", "<2")], Some(app.clone())),
        missing,
        "replaced"
    );
    assert_eq!(judged(&[("api", "^3")], Some(app)), None);
    assert_eq!(judged(&[("api", "^1")], None), missing);
    assert_eq!(judged(&[("app", "new")], None), Some(Reason::BadRelease));
    let key = ("app".to_owned(), "1.0.0".to_owned());
    candidate.provided.insert(key, pairs(&[("api", "1.4.0")]));
    candidate.artifacts = vec![artifact("config", &[("api", "^1")], &[])];
    assert_eq!(candidate.refusal(&device(1), None), None, "provided by it");
    // Without the artifacts no dependency is judged.
    candidate.artifacts.clear();
    assert_eq!(candidate.refusal(&device(1), None), None);
}

#[test]
fn members_are_counted_as_online_away_or_refusing_and_held_ones_not_at_all() {
    let instance = InstanceRow {
        broker_run: 3,
        ..InstanceRow::default()
    };
    let mut survey = Survey::new(candidate(), instance, None);
    let heard = |online, run| {
        Some(PresenceRecord {
            online,
            session: SessionCounter(1),
            run,
            since_ms: 0,
        })
    };
    let row = |presence, counter| DeviceRow {
        presence,
        ..device(counter)
    };
    survey.member(&"d1".parse().unwrap(), &row(heard(true, 3), 1), None);
    survey.member(&"d1".parse().unwrap(), &row(heard(true, 2), 1), None);
    survey.member(&"d1".parse().unwrap(), &row(heard(false, 3), 1), None);
    survey.member(&"d1".parse().unwrap(), &row(None, 1), None);
    survey.member(&"d1".parse().unwrap(), &row(heard(true, 3), 9), None);
    survey.member(&"d1".parse().unwrap(), &row(None, 9), None);
    let held = DeviceRow {
        held: true,
        ..row(heard(true, 3), 1)
    };
    survey.member(&"d1".parse().unwrap(), &held, None);
    let refuse = FailureCount {
        reason: Reason::Downgrade.into(),
        count: 2,
    };
    assert_eq!(
        survey.counted(),
        Counted {
            online: 1,
            when_connected: 3,
            would_refuse: vec![refuse],
        }
    );
}

#[test]
fn of_a_limit_those_are_counted_that_it_lets_start() {
    let first = First {
        order: 7,
        devices: 4,
    };
    let mut for_pumps = candidate();
    for_pumps.release.device_types = vec!["pump".into()];
    let mut survey = Survey::new(for_pumps, InstanceRow::default(), Some(first));
    let devices: Vec<DeviceId> = (0..20).map(|n| format!("d{n}").parse().unwrap()).collect();
    let mut order = devices.clone();
    order.sort_by_key(|device| place(first.order, device));
    let unfit = DeviceRow {
        device_type: "valve".into(),
        ..device(1)
    };
    let online = DeviceRow {
        presence: Some(PresenceRecord {
            online: true,
            session: SessionCounter(1),
            run: 0,
            since_ms: 0,
        }),
        ..device(1)
    };
    for device_id in &devices {
        let row = match order.iter().position(|it| it == device_id).unwrap() {
            // Gives its slot to the fifth.
            1 => unfit.clone(),
            2 => device(9),
            3 | 10 => online.clone(),
            _ => device(1),
        };
        survey.member(device_id, &row, None);
    }
    let refuses = |reason: Reason| FailureCount {
        reason: reason.into(),
        count: 1,
    };
    assert_eq!(
        survey.counted(),
        Counted {
            online: 1,
            when_connected: 2,
            would_refuse: vec![refuses(Reason::Downgrade), refuses(Reason::Incompatible)],
        }
    );
}
