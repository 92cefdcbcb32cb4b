//! A device whose power goes at any moment, or whose disk refuses, ends its deployments,
//! each with one true outcome.

use hoist_tests::power_cut::explore::{Depth, Tally, cuts, goes_as_expected, replay, troubles};
use hoist_tests::power_cut::scenario::{Flaw, Lasts};
use hoist_tests::power_cut::stories::{find, scenarios};

#[test]
fn every_story_goes_as_told_when_nothing_is_cut() {
    for scenario in scenarios() {
        let name = scenario.name;
        if let Err(story) = goes_as_expected(scenario) {
            panic!("{story}\n{name}");
        }
    }
}

#[test]
fn no_power_cut_doubles_an_install_or_loses_an_outcome() {
    // bad-inputs rows 59, 60 and 61
    let mut all = Tally::default();
    for scenario in scenarios() {
        all.add(cuts(&scenario, Depth::Once, u64::MAX));
    }
    assert_eq!(all.bad(), 0, "{}", all.firsts().join("\n"));
    assert!(all.cases >= 10_000, "{} cases", all.cases);
}

#[test]
fn a_second_cut_while_the_device_recovers_changes_nothing() {
    // bad-inputs row 59
    let scenario = find("no-verify").unwrap();
    let tally = cuts(&scenario, Depth::Twice, u64::MAX);
    assert_eq!(tally.bad(), 0, "{}", tally.firsts().join("\n"));
    assert!(tally.cases >= 10_000, "{} cases", tally.cases);
}

#[test]
fn no_refusing_disk_starts_what_was_not_or_loses_an_outcome() {
    // bad-inputs row 58
    let mut all = Tally::default();
    for name in ["two-deployments", "rollback-fails", "second-artifact-fails"] {
        let scenario = find(name).unwrap();
        all.add(troubles(&scenario, &[Lasts::Operations(1)], u64::MAX));
    }
    assert_eq!(all.bad(), 0, "{}", all.firsts().join("\n"));
    assert!(all.cases >= 1_000, "{} cases", all.cases);
}

#[test]
fn a_case_is_told_again_by_its_name() {
    let (log, fault) = replay("one-artifact:40:torn:60:unsynced").unwrap();
    assert_eq!(fault, None);
    let cuts = log.iter().filter(|line| line.contains("CUT")).count();
    assert_eq!(cuts, 2, "{}", log.join("\n"));
    assert!(replay("one-artifact:40:bent").is_err());
}

/// The violation as which a flaw of the device or its broker is seen.
fn seen(name: &str, flaw: Flaw) -> Tally {
    let mut scenario = find(name).unwrap();
    scenario.flaw = Some(flaw);
    cuts(&scenario, Depth::Once, u64::MAX)
}

#[test]
fn a_disk_that_does_not_sync_is_seen() {
    let tally = seen("one-artifact", Flaw::LyingDisk);
    assert!(tally.count("unannouncedInstalls") > 0, "{tally:?}");
    assert!(tally.count("unreadable") > 0, "{tally:?}");
}

#[test]
fn an_outcome_that_nobody_heard_is_seen() {
    let tally = seen("one-artifact", Flaw::SwallowedOutcomes);
    assert!(tally.count("stuck") > 0, "{tally:?}");
}

#[test]
fn an_outcome_that_is_not_true_is_seen() {
    let tally = seen("second-artifact-fails", Flaw::EmptyRollback);
    assert!(tally.count("lostOutcomes") > 0, "{tally:?}");
}

#[test]
fn a_device_that_never_wakes_is_seen() {
    let tally = seen("retry-then-success", Flaw::DeafTimers);
    assert!(tally.count("stuck") > 0, "{tally:?}");
}
