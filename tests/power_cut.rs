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
