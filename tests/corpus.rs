//! What a fuzzer found, and what once was wrong, is replayed: nothing of it panics, hangs or breaks a
//! promise. `fuzz/README.md` says how more is found.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_tests::fuzz::{TARGETS, find};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn replay(name: &str) {
    let target = find(name).unwrap();
    let inputs = files(&corpus().join(name));
    assert!(inputs.len() >= 10, "{name} has a corpus");
    for path in inputs {
        eprintln!("{}", path.display());
        (target.run)(&fs::read(&path).unwrap());
    }
    (target.run)(&[]);
}

#[test]
fn every_message_command_topic_artifact_and_setting_of_the_corpus_is_read_or_refused() {
    for name in ["messages", "commands", "topics", "artifacts", "settings"] {
        replay(name);
    }
}

#[test]
fn nothing_that_the_corpus_says_to_the_front_door_disturbs_anybody_else() {
    replay("front-door");
}

#[test]
fn nothing_that_the_corpus_asks_by_http_disturbs_anybody_else() {
    replay("http");
}

#[test]
fn no_answer_of_the_corpus_is_more_than_it_says() {
    replay("answers");
}

#[test]
fn each_folder_of_the_corpus_is_one_of_a_target_and_each_target_can_be_fuzzed() {
    let folders = files(&corpus());
    let folders = folders
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap());
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let fuzzed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/Cargo.toml");
    let fuzzed = fs::read_to_string(fuzzed).unwrap();
    for name in &names {
        assert!(fuzzed.contains(&format!("name = \"{name}\"")), "{name}");
    }
    names.sort_unstable();
    assert_eq!(folders.collect::<Vec<_>>(), names);
}
