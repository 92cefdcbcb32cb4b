//! Plants every mistake that a fleet and its server must show: one that no seed sees shows
//! that the simulation is too weak. A mistake is planted in the whole process, so they follow
//! each other.

use std::process::ExitCode;
use std::time::Instant;

use crate::mutants::{Planted, ShownBy, shown_by};

use super::exhaustive::{self, Bounds};
use super::program::run;
use super::run::{Log, run as run_seed};

/// Seeds within which each must be seen.
const SEEDS_MAX: u64 = 20_000;

/// Which mistakes are planted, and who must see them.
pub(super) struct Choice<'a> {
    /// The text that their names contain.
    pub(super) only: &'a str,
    /// Small worlds with one accident look, in the place of seeds.
    pub(super) exhaustive: bool,
    /// The first of the seeds.
    pub(super) first_seed: u64,
    /// Devices in each fleet; by seed, when absent.
    pub(super) devices: Option<u16>,
}

/// The run or search that shows a mistake, and the invariant that is broken.
type Seen = (String, &'static str);

impl Choice<'_> {
    /// Plants one after another; 1 when a seed had to see one and none did.
    pub(super) fn main(&self, json: bool) -> ExitCode {
        let mut survivors = Vec::new();
        let mut planted = 0;
        let chosen = shown_by(ShownBy::Simulate);
        for mistake in chosen.filter(|mistake| mistake.path().contains(self.only)) {
            planted += 1;
            let start = Instant::now();
            let seen = match self.exhaustive {
                true => shown(mistake),
                false => self.seen(mistake),
            };
            let (name, seconds) = (mistake.path(), start.elapsed().as_secs_f64());
            match seen {
                Some((by, invariant)) => {
                    eprintln!("{name}: seen by {by} as {invariant} ({seconds:.1} s)");
                }
                None => {
                    eprintln!("{name}: not seen ({seconds:.1} s)");
                    survivors.push(name);
                }
            }
        }
        let killed = planted - survivors.len();
        if json {
            let line = serde_json::json!({
                "mutants": planted, "killed": killed, "survivors": survivors,
            });
            println!("{line}");
        } else {
            println!("{planted} mistakes, {killed} seen, not seen: {survivors:?}");
        }
        ExitCode::from(u8::from(!self.exhaustive && !survivors.is_empty()))
    }

    /// The first seed that sees it and is fine without.
    fn seen(&self, mistake: Planted) -> Option<Seen> {
        let end = self.first_seed + SEEDS_MAX;
        let mut first = self.first_seed;
        while first < end {
            let tally = mistake.with(|| run(first, end - first, self.devices));
            let violation = tally.violations.into_iter().next()?;
            if run_seed(violation.seed, self.devices, Log::Dropped).is_ok() {
                let by = format!("seed {}", violation.seed);
                return Some((by, violation.broken.invariant));
            }
            first = violation.seed + 1;
        }
        None
    }
}

/// The first small world that shows it; all of them are fine without.
fn shown(mistake: Planted) -> Option<Seen> {
    mistake.with(|| {
        let mut worlds = exhaustive::ONE_ACCIDENT.into_iter();
        worlds.find_map(|world| {
            let bounds = Bounds {
                states_max: exhaustive::ONE_ACCIDENT_MAX,
                ..world
            };
            let (broken, way) = exhaustive::explore(bounds, |_, _| {}).broken?;
            let by = format!("{} steps of {world}", way.len());
            Some((by, broken.invariant))
        })
    })
}
