//! Plants every mistake of the device client that is known: one that no case sees shows
//! that the cases are too weak.

use std::process::ExitCode;

use crate::mutants::{Planted, ShownBy, shown_by};

use super::explore::{Depth, Tally, cuts, replay, troubles};
use super::scenario::Scenario;
use super::stories::scenarios;
use super::trouble::Lasts;

/// Plants one after another of those whose names contain `only`; 1 when one was not seen.
pub(super) fn main(only: &str, json: bool) -> ExitCode {
    // What panics because of a mistake is seen; people need not read it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut survivors = Vec::new();
    let mut planted = 0;
    let chosen = shown_by(ShownBy::PowerCut);
    for mutant in chosen.filter(|mutant| mutant.name.contains(only)) {
        planted += 1;
        let first = seen(mutant);
        if !json {
            let line = first.as_deref().unwrap_or("SURVIVES").replace('\n', " ");
            let line: String = line.chars().take(120).collect();
            println!("{:<24} {line}", mutant.name);
        }
        if first.is_none() {
            survivors.push(mutant.name);
        }
    }
    let survived = survivors.len();
    if json {
        let line = serde_json::json!({
            "mutants": planted, "killed": planted - survived, "survivors": survivors,
        });
        println!("{line}");
    } else {
        println!("{planted} planted, {survived} not seen");
    }
    ExitCode::from(u8::from(survived > 0))
}

/// The first case that is bad with a mistake planted, and only then.
fn seen(mutant: Planted) -> Option<String> {
    let stories = scenarios();
    let tries = TRIES
        .iter()
        .flat_map(|attempt| stories.iter().map(move |story| (attempt, story)));
    for (attempt, story) in tries {
        let tally = mutant.with(|| attempt(story));
        let firsts = tally.firsts();
        if let Some(first) = firsts.iter().find(|first| is_fine(first)) {
            return Some((*first).to_owned());
        }
    }
    None
}

type Try = fn(&Scenario) -> Tally;

/// Single cuts first: most are seen by them.
const TRIES: [Try; 3] = [
    |story| cuts(story, Depth::Once, 1),
    |story| troubles(story, &[Lasts::Operations(1), Lasts::Minutes], 1),
    |story| cuts(story, Depth::Twice, 1),
];

/// True if a case that was bad is fine without a mistake.
fn is_fine(first: &str) -> bool {
    let case = first.lines().last().unwrap_or_default();
    matches!(replay(case), Ok((_, None)))
}
