//! The program around the simulation: many seeds on every core, the small world explored,
//! or every planted mistake; one line of JSON, and for a broken invariant everything that is
//! needed to see it again.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use super::exhaustive::{self, Bounds, Explored};
use super::mutants::Choice;
use super::run::{Log, Violation, run as run_seed};

/// Lines of a log shown for a broken invariant; `--log` shows all.
const LOG_SHOWN: usize = 60;

/// The time between two reports of the exploration on its progress.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Runs the real orchestrator core against simulated fleets
#[derive(Parser)]
struct Args {
    /// Number of seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Devices in each fleet; 1 to 12, by seed, when absent
    #[arg(long)]
    devices: Option<u16>,
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
    /// Everything that happens, on standard error
    #[arg(long)]
    log: bool,
    /// Explores small worlds to their ends instead
    #[arg(long, conflicts_with = "log")]
    exhaustive: bool,
    /// States after which the exploration gives up
    #[arg(long)]
    states: Option<usize>,
    /// Plants one mistake after the other, each of which some seed must see; with
    /// `--exhaustive` says which of them show in small worlds with one accident
    #[arg(long, conflicts_with = "log")]
    mutants: bool,
    /// Only mistakes with this in their name
    #[arg(long, requires = "mutants")]
    only: Option<String>,
    /// Says only whether each mistake has its place in the code and compiles
    #[arg(long, requires = "mutants", conflicts_with = "exhaustive")]
    check: bool,
}

/// The results of many seeds.
pub struct Tally {
    /// Steps of all of them.
    pub steps: u64,
    /// The broken invariants; empty but for the first few.
    pub violations: Vec<Violation>,
    /// The time that the run took.
    pub seconds: f64,
}

/// Runs the program; 1 when an invariant was broken, or a mistake was not seen.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if args.check {
        crate::mutants::check()
    } else if args.mutants {
        mutants(&args)
    } else if args.exhaustive {
        explore(&args)
    } else if args.log {
        tell(&args)
    } else {
        seeds(&args)
    }
}

fn seeds(args: &Args) -> ExitCode {
    let tally = run(args.first_seed, args.seeds, args.devices);
    let (violations, per_second) = (tally.violations.len(), args.seeds as f64 / tally.seconds);
    for violation in &tally.violations {
        print_violation(violation, args.devices);
    }
    let (seeds, steps) = (args.seeds, tally.steps);
    if args.json {
        let line = serde_json::json!({
            "seeds": seeds, "steps": steps, "violations": violations,
            "seedsPerSecond": per_second.round(),
        });
        println!("{line}");
    } else {
        println!("{seeds} seeds, {steps} steps, {violations} violations, {per_second:.0} seeds/s");
    }
    ExitCode::from(u8::from(violations > 0))
}

/// Tells everything that happens in each seed, one after the other.
fn tell(args: &Args) -> ExitCode {
    for seed in args.first_seed..args.first_seed + args.seeds {
        match run_seed(seed, args.devices, Log::Kept) {
            Ok(story) => eprintln!("{}\nseed {seed}: no violation", story.log.join("\n")),
            Err(violation) => {
                let (log, broken) = (violation.log.join("\n"), &violation.broken);
                eprintln!(
                    "{log}\nseed {seed} breaks {}: {}",
                    broken.invariant, broken.what
                );
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs seeds, shared out among the cores; stops early after the first violation.
pub fn run(first_seed: u64, seeds: u64, devices: Option<u16>) -> Tally {
    let start = Instant::now();
    let end = first_seed + seeds;
    let next = AtomicU64::new(first_seed);
    let work = || {
        let (mut steps, mut violations) = (0, Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (steps, violations);
            }
            match run_seed(seed, devices, Log::Dropped) {
                Ok(story) => steps += u64::from(story.steps),
                Err(violation) => {
                    violations.push(*violation);
                    next.store(end, Ordering::Relaxed);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut tally = Tally {
        steps: 0,
        violations: Vec::new(),
        seconds: 0.0,
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (steps, violations) = worker.join().expect("a simulation does not panic");
            tally.steps += steps;
            tally.violations.extend(violations);
        }
    });
    tally.violations.sort_by_key(|violation| violation.seed);
    tally.seconds = start.elapsed().as_secs_f64().max(1e-9);
    tally
}

/// Mistakes are in a build of their own, which runs with the same words.
fn mutants(args: &Args) -> ExitCode {
    if !crate::mutants::are_built_in() {
        return crate::mutants::run("simulate");
    }
    let choice = Choice {
        only: args.only.as_deref().unwrap_or_default(),
        exhaustive: args.exhaustive,
        first_seed: args.first_seed,
        devices: args.devices,
    };
    choice.main(args.json)
}

/// Runs the seed once more, to tell what happened.
fn print_violation(violation: &Violation, devices: Option<u16>) {
    let Violation {
        broken, seed, step, ..
    } = violation;
    let with = devices.map_or(String::new(), |devices| format!(" --devices {devices}"));
    if let Err(again) = run_seed(*seed, devices, Log::Kept) {
        let from = again.log.len().saturating_sub(LOG_SHOWN);
        eprintln!("{}", again.log[from..].join("\n"));
    }
    let (invariant, what) = (broken.invariant, &broken.what);
    eprintln!("invariant {invariant} is broken by seed {seed} at step {step}: {what}");
    eprintln!(
        "see it again: cargo run --release -p hoist-tests --bin simulate -- \
         --first-seed {seed} --seeds 1{with} --log"
    );
}

fn explore(args: &Args) -> ExitCode {
    let (start, said) = (Instant::now(), Cell::new(Instant::now()));
    let bounds = Bounds {
        states_max: args.states.unwrap_or(exhaustive::WHOLE.states_max),
        ..exhaustive::WHOLE
    };
    let explored = exhaustive::explore(bounds, |depth, states| {
        if said.get().elapsed() > SAID_EVERY {
            said.set(Instant::now());
            let seconds = start.elapsed().as_secs();
            eprintln!("{seconds} s: {states} states up to depth {depth}");
        }
    });
    if let Some((broken, way)) = &explored.broken {
        let (log, again) = exhaustive::tell(bounds, way);
        eprintln!("{}", log.join("\n"));
        eprintln!("invariant {} is broken: {}", broken.invariant, broken.what);
        if again.as_ref() != Some(broken) {
            eprintln!("walking the same way in one world shows {again:?}");
        }
    }
    let Explored {
        states,
        transitions,
        ends,
        depth,
        complete,
        ref broken,
    } = explored;
    let violations = usize::from(broken.is_some());
    let seconds = start.elapsed().as_secs();
    if args.json {
        let line = serde_json::json!({
            "world": bounds.to_string(), "bound": bounds.states_max, "states": states,
            "transitions": transitions, "ends": ends, "depth": depth, "complete": complete,
            "violations": violations, "seconds": seconds,
        });
        println!("{line}");
    } else {
        let word = if complete {
            "all of them"
        } else {
            "not all of them"
        };
        println!("{bounds}: {states} states, {word}, {violations} violations, {seconds} s");
    }
    ExitCode::from(u8::from(violations > 0 || !complete))
}
