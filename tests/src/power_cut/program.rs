//! The program around the rig: every scenario, every write, every moment, and every
//! second cut after it.

use std::process::ExitCode;

use clap::Parser;

use super::rig::{Cut, Fault, Moment, Order, Scenario, Story, run};

/// What is deployed.
pub const SCENARIOS: [Scenario; 7] = [
    scenario("one artifact", 1, false, false, None),
    scenario("one artifact, idempotent", 1, false, true, None),
    scenario(
        "two artifacts, the second fails",
        2,
        false,
        false,
        Some((1, u32::MAX)),
    ),
    scenario(
        "two artifacts, the second fails, idempotent",
        2,
        false,
        true,
        Some((1, u32::MAX)),
    ),
    scenario("reboot", 1, true, false, None),
    scenario("reboot, then failing", 1, true, false, Some((0, u32::MAX))),
    scenario("retry, then success", 1, false, false, Some((0, 1))),
];

const fn scenario(
    name: &'static str,
    artifacts: u8,
    reboot: bool,
    idempotent: bool,
    fails: Option<(u8, u32)>,
) -> Scenario {
    Scenario {
        name,
        artifacts,
        reboot,
        idempotent,
        fails,
    }
}

/// Cuts the power of a device at every durable write, and again while it recovers
#[derive(Parser)]
struct Args {
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What all cases came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs.
    pub cases: u64,
    /// Installs that ran twice in an attempt.
    pub double_installs: u64,
    /// Devices without an end.
    pub stuck: u64,
    /// Outcomes that were lost, doubled or untrue.
    pub lost_outcomes: u64,
    /// The first bad case, for people.
    pub first: Option<String>,
}

impl Tally {
    fn add(&mut self, scenario: Scenario, cuts: &[Cut], story: &Story) {
        self.cases += 1;
        let Some(fault) = &story.fault else { return };
        match fault {
            Fault::DoubleInstall => self.double_installs += 1,
            Fault::Stuck => self.stuck += 1,
            Fault::LostOutcome(_) => self.lost_outcomes += 1,
        }
        self.first.get_or_insert_with(|| {
            let log = story.log.join("\n");
            format!("{log}\n{}, cut at {cuts:?}: {fault:?}", scenario.name)
        });
    }
}

/// Runs a scenario with every first cut, and every second one if `twice`.
pub fn explore(scenario: Scenario, order: Order, twice: bool, tally: &mut Tally) {
    let story = run(scenario, order, &[]);
    tally.add(scenario, &[], &story);
    for first in cuts(0..story.writes) {
        let story = run(scenario, order, &[first]);
        tally.add(scenario, &[first], &story);
        if twice {
            for second in cuts(first.operation + 1..story.writes) {
                let both = [first, second];
                tally.add(scenario, &both, &run(scenario, order, &both));
            }
        }
    }
}

fn cuts(writes: std::ops::Range<usize>) -> impl Iterator<Item = Cut> {
    writes.flat_map(|operation| Moment::ALL.map(|moment| Cut { operation, moment }))
}

/// Runs the program; 1 when a case went wrong.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let mut tally = Tally::default();
    for scenario in SCENARIOS {
        explore(scenario, Order::AsSaid, true, &mut tally);
    }
    if let Some(first) = &tally.first {
        eprintln!("{first}");
    }
    let Tally {
        cases,
        double_installs,
        stuck,
        lost_outcomes,
        ..
    } = tally;
    if args.json {
        let line = serde_json::json!({
            "cases": cases, "doubleInstalls": double_installs, "stuck": stuck,
            "lostOutcomes": lost_outcomes,
        });
        println!("{line}");
    } else {
        println!(
            "{cases} cases, {double_installs} double installs, {stuck} stuck, \
             {lost_outcomes} lost outcomes"
        );
    }
    ExitCode::from(u8::from(tally.first.is_some()))
}
