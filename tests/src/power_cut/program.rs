//! The program around the stories: every scenario, one line of JSON or a table, and for
//! what is broken the story and the command that tells it again.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use super::explore::{Depth, Tally, cuts, replay, troubles};
use super::fault::Fault;
use super::scenario::Scenario;
use super::stories::scenarios;
use super::trouble::Lasts;

/// Cuts the power of a device wherever it hurts, and again while it recovers, and lets its
/// disk refuse at every operation
#[derive(Parser)]
struct Args {
    /// One line of JSON on standard output
    #[arg(long)]
    json: bool,
    /// Only this scenario
    #[arg(long)]
    scenario: Option<String>,
    /// Only single cuts
    #[arg(long)]
    once: bool,
    /// One case again, with its story: `scenario:op:moment[:op:moment]`
    #[arg(long, value_name = "CASE")]
    replay: Option<String>,
    /// Plants every mistake that is known and says which are seen
    #[arg(long)]
    mutants: bool,
    /// Only mistakes with this in their name
    #[arg(long, requires = "mutants")]
    only: Option<String>,
}

/// The result of a scenario.
struct Row {
    name: &'static str,
    cuts: Tally,
    errors: Tally,
    seconds: f64,
}

/// Runs the program; 1 when a case went wrong.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(case) = &args.replay {
        return replayed(case);
    }
    if args.mutants {
        return mutants(&args);
    }
    let mut rows = Vec::new();
    for scenario in chosen(&args) {
        let row = row(&scenario, &args);
        if !args.json {
            println!("{}", row.line());
        }
        rows.push(row);
    }
    let mut all = Tally::default();
    let mut errors = 0;
    for row in &rows {
        errors += row.errors.cases;
        all.add(row.cuts.clone());
        all.add(row.errors.clone());
    }
    if args.json {
        println!("{}", json(&all, errors, rows.len()));
    } else {
        println!("{} cases, {} bad", all.cases, all.bad());
    }
    all.firsts().into_iter().for_each(show);
    ExitCode::from(u8::from(all.bad() > 0))
}

fn chosen(args: &Args) -> Vec<Scenario> {
    let wanted = |scenario: &Scenario| {
        let name = args.scenario.as_deref();
        name.is_none_or(|name| name == scenario.name)
    };
    scenarios().into_iter().filter(wanted).collect()
}

fn row(scenario: &Scenario, args: &Args) -> Row {
    let start = Instant::now();
    let depth = if args.once { Depth::Once } else { Depth::Twice };
    let lasts: Vec<_> = Lasts::ALL.iter().map(|(lasts, _)| *lasts).collect();
    Row {
        name: scenario.name,
        cuts: cuts(scenario, depth, u64::MAX),
        errors: troubles(scenario, &lasts, u64::MAX),
        seconds: start.elapsed().as_secs_f64(),
    }
}

impl Row {
    fn line(&self) -> String {
        let Self {
            name,
            cuts,
            errors,
            seconds,
        } = self;
        let bad = cuts.faults.iter().chain(&errors.faults);
        let bad: Vec<_> = bad
            .map(|(name, bad)| format!("{} {name}", bad.cases))
            .collect();
        let bad = match bad.is_empty() {
            true => "fine".to_owned(),
            false => bad.join(", "),
        };
        format!(
            "{name:<24} {:>8} cuts {:>8} lived {:>6} errors {seconds:>6.1} s  {bad}",
            cuts.cases, cuts.stories, errors.cases
        )
    }
}

fn json(all: &Tally, errors: u64, scenarios: usize) -> serde_json::Value {
    let mut line = serde_json::json!({
        "cases": all.cases, "stories": all.stories, "errors": errors, "scenarios": scenarios,
    });
    for name in Fault::NAMES {
        line[name] = all.count(name).into();
    }
    line
}

/// A bad case: `fault`, a new line, and what `--replay` takes.
fn show(first: &str) {
    let case = first.lines().last().unwrap_or_default();
    if let Ok((log, _)) = replay(case) {
        log.iter().for_each(|line| eprintln!("{line}"));
    }
    eprintln!("{first}");
    eprintln!("again: cargo run --release -p hoist-tests --bin power_cut -- --replay {case}");
}

fn replayed(case: &str) -> ExitCode {
    match replay(case) {
        Ok((log, fault)) => {
            log.iter().for_each(|line| println!("{line}"));
            ExitCode::from(u8::from(fault.is_some()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Mistakes are in a build of their own, which runs with the same words.
fn mutants(args: &Args) -> ExitCode {
    if !crate::mutants::are_built_in() {
        return crate::mutants::run("power_cut");
    }
    super::mutants::main(args.only.as_deref().unwrap_or_default(), args.json)
}
