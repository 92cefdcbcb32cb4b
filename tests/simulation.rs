//! The rules hold whatever happens in whatever order: seeded runs of the real core.

use hoist_tests::simulation::world::World;

/// Enough to meet every kind of event with every other, in a few seconds.
const SEEDS: u64 = 600;

#[test]
fn no_seed_breaks_an_invariant() {
    for seed in 0..SEEDS {
        if let Err(violation) = World::run(seed) {
            panic!(
                "seed {} breaks {} at step {}: {}\n{}",
                violation.seed,
                violation.invariant,
                violation.step,
                violation.what,
                violation.log.join("\n")
            );
        }
    }
}
