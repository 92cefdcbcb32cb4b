//! A device whose power goes at any write ends its deployment, with one true outcome.

use hoist_tests::power_cut::program::{SCENARIOS, Tally, explore};
use hoist_tests::power_cut::rig::Order;

#[test]
fn no_power_cut_doubles_an_install_or_loses_an_outcome() {
    let mut tally = Tally::default();
    for scenario in SCENARIOS {
        explore(scenario, Order::AsSaid, false, &mut tally);
    }
    assert!(tally.first.is_none(), "{}", tally.first.unwrap_or_default());
    assert!(tally.cases >= 300, "{tally:?}");
}

#[test]
fn a_journal_written_after_its_effect_is_seen() {
    let mut tally = Tally::default();
    explore(SCENARIOS[0], Order::EffectsFirst, false, &mut tally);
    assert!(tally.double_installs > 0, "{tally:?}");
}

#[test]
fn an_outcome_that_was_not_written_is_seen_as_another_install() {
    let mut tally = Tally::default();
    explore(SCENARIOS[2], Order::OutcomesForgotten, false, &mut tally);
    assert!(tally.double_installs > 0, "{tally:?}");
}

#[test]
fn an_outcome_that_never_arrived_is_seen() {
    let mut tally = Tally::default();
    explore(SCENARIOS[2], Order::Unsent, false, &mut tally);
    assert!(tally.lost_outcomes > 0, "{tally:?}");
}

#[test]
fn a_device_that_never_wakes_is_seen() {
    let mut tally = Tally::default();
    explore(SCENARIOS[6], Order::TimersForgotten, false, &mut tally);
    assert!(tally.stuck > 0, "{tally:?}");
}
