//! The program around the simulation: many seeds on every core, one line of JSON, and for
//! a broken invariant everything that is needed to see it again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;

use super::world::{Violation, World};

/// Runs the real orchestrator core against simulated fleets
#[derive(Parser)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Devices in each fleet; 1 to 12, by seed, when absent
    #[arg(long)]
    devices: Option<usize>,
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What all seeds came to.
struct Tally {
    steps: u64,
    violations: Vec<Violation>,
    seconds: f64,
}

/// Runs the program; 1 when an invariant was broken.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let tally = run(&args);
    let (violations, per_second) = (tally.violations.len(), args.seeds as f64 / tally.seconds);
    for violation in &tally.violations {
        print_violation(violation, args.devices);
    }
    if args.json {
        let line = serde_json::json!({
            "seeds": args.seeds, "steps": tally.steps, "violations": violations,
            "seedsPerSecond": per_second.round(),
        });
        println!("{line}");
    } else {
        let steps = tally.steps;
        println!(
            "{} seeds, {steps} steps, {violations} violations, {per_second:.0} seeds/s",
            args.seeds
        );
    }
    ExitCode::from(u8::from(violations > 0))
}

/// Runs every seed, shared out among the cores; stops early after the first violation.
fn run(args: &Args) -> Tally {
    let start = Instant::now();
    let end = args.first_seed + args.seeds;
    let next = AtomicU64::new(args.first_seed);
    let work = || {
        let (mut steps, mut violations) = (0, Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (steps, violations);
            }
            match World::run(seed, args.devices) {
                Ok(more) => steps += more as u64,
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
    tally.seconds = start.elapsed().as_secs_f64().max(1e-9);
    tally
}

fn print_violation(violation: &Violation, devices: Option<usize>) {
    let Violation {
        invariant,
        what,
        seed,
        step,
        log,
    } = violation;
    let devices = devices.map_or(String::new(), |devices| format!(" --devices {devices}"));
    eprintln!("{}", log.join("\n"));
    eprintln!("invariant {invariant} is broken by seed {seed} at step {step}: {what}");
    eprintln!(
        "see it again: cargo run --release -p hoist-tests --bin simulate -- \
         --first-seed {seed} --seeds 1{devices}"
    );
}
