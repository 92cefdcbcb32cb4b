//! The rules hold whatever happens in whatever order: seeded runs of the real core.

use hoist_tests::simulation::exhaustive::{Bounds, Left, explore, tell};
use hoist_tests::simulation::run::{Log, run};

/// Enough to meet every kind of event with every other, in a few seconds.
const SEEDS: u64 = 400;

fn run_all(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(violation) = run(seed, None, Log::Dropped) {
            let (broken, step) = (&violation.broken, violation.step);
            panic!(
                "seed {seed} breaks {} at step {step}: {}\nsee it: cargo run --release -p \
                 hoist-tests --bin simulate -- --first-seed {seed} --seeds 1 --log",
                broken.invariant, broken.what,
            );
        }
    }
}

#[test]
fn no_seed_breaks_an_invariant() {
    std::thread::scope(|scope| {
        scope.spawn(|| run_all((0..SEEDS).step_by(2)));
        run_all((1..SEEDS).step_by(2));
    });
}

#[test]
fn a_seed_replays_to_the_letter() {
    let log = |seed| run(seed, Some(9), Log::Kept).unwrap().log;
    let first = log(7);
    assert!(first.len() > 500, "{} lines", first.len());
    assert_eq!(first, log(7));
    assert_ne!(first, log(8));
}

/// In this build one way in eight is compared with what it is in the whole world.
#[test]
fn a_small_world_with_an_accident_is_explored_to_its_end() {
    let accidents = [
        Left {
            server: 1,
            ..Left::NOTHING
        },
        Left {
            device: [1, 0],
            ..Left::NOTHING
        },
        Left {
            message: 1,
            ..Left::NOTHING
        },
    ];
    for left in accidents {
        let bounds = Bounds {
            left,
            deployments: 1,
            states_max: 200_000,
        };
        let explored = explore(bounds, |_, _| {});
        let story = explored
            .broken
            .map(|(broken, way)| (broken, tell(bounds, &way)));
        assert_eq!(story, None, "{bounds}");
        assert!(explored.complete && explored.ends > 0, "{bounds}");
        assert!(explored.states > 300, "{bounds}: {}", explored.states);
    }
}
