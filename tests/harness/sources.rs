//! Texts of this repository's files: its sources, with and without their tests, and its documents.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The crates that become programs.
const CRATES: [&str; 9] = [
    "broker-config",
    "cli",
    "device-client",
    "net",
    "orchestrator",
    "orchestrator-core",
    "page",
    "protocol",
    "server",
];

/// A file, by its path from the root.
pub struct Text {
    pub path: String,
    pub text: String,
}

fn collect(dir: &Path, extension: &str, found: &mut Vec<Text>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(ROOT).unwrap();
            let path = path.to_str().unwrap().to_owned();
            found.push(Text { path, text });
        }
    }
}

/// The sources of all crates that become programs, without their tests.
pub fn sources() -> Vec<Text> {
    let mut found = Vec::new();
    for name in CRATES {
        collect(&Path::new(ROOT).join(name).join("src"), "rs", &mut found);
    }
    found.retain(|file| !file.path.contains("tests/") && !file.path.ends_with("tests.rs"));
    for file in &mut found {
        if let Some(tests) = file.text.find("#[cfg(test)]\nmod tests {") {
            file.text.truncate(tests);
        }
    }
    found
}

/// All of it, tests included.
pub fn code() -> Vec<Text> {
    let mut found = Vec::new();
    for name in CRATES.into_iter().chain(["tests"]) {
        collect(&Path::new(ROOT).join(name), "rs", &mut found);
    }
    found
}

/// README, CONTRIBUTING and what lies in `docs`.
pub fn documents() -> Vec<Text> {
    let mut found = Vec::new();
    for entry in fs::read_dir(ROOT).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == "md") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(ROOT).unwrap();
            let path = path.to_str().unwrap().to_owned();
            found.push(Text { path, text });
        }
    }
    collect(&Path::new(ROOT).join("docs"), "md", &mut found);
    found
}
