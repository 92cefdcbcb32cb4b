//! The meaning of deployments, in files that a newcomer can read: one for each rule S1–S16.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_tests::simulation::scenario::play;

/// Set to write what the scenarios show anew.
const WRITE: &str = "HOIST_WRITE_SCENARIOS";

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_rule_has_a_scenario() {
    let names: Vec<_> = scenarios()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap()[..3].to_owned())
        .collect();
    for rule in 1..=16 {
        assert!(
            names.contains(&format!("s{rule:02}")),
            "no scenario tells S{rule}"
        );
    }
}

#[test]
fn every_scenario_shows_what_is_written_beside_it() {
    for path in scenarios() {
        let written = fs::read_to_string(&path).unwrap();
        let shown = play(&written).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        if std::env::var_os(WRITE).is_some() {
            fs::write(&path, shown).unwrap();
        } else {
            assert_eq!(
                written,
                shown,
                "{}; {WRITE}=1 writes it anew",
                path.display()
            );
        }
    }
}
