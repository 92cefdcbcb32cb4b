//! The rules hold whatever happens in whatever order: seeded runs of the real core.

use hoist_tests::simulation::world::World;

/// Enough to meet every kind of event with every other, in a few seconds.
const SEEDS: u64 = 500;

fn run(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(violation) = World::run(seed, None) {
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

#[test]
fn no_seed_breaks_an_invariant() {
    std::thread::scope(|scope| {
        scope.spawn(|| run((0..SEEDS).step_by(2)));
        run((1..SEEDS).step_by(2));
    });
}

#[test]
fn a_seed_replays_step_by_step() {
    let steps = |seed| World::run(seed, Some(5)).unwrap();
    assert_eq!(steps(7), steps(7));
    assert_ne!(steps(7), steps(8));
}
