//! The mistakes that the proving programs must see fit the code of today, and the code that
//! is used has no place for them.

use std::fs;
use std::path::Path;

use hoist_tests::mutants::catalog::Catalog;
use hoist_tests::mutants::{ShownBy, root, switched};

/// Fewer mistakes would prove less.
const PLANTED_MIN: [(ShownBy, usize); 2] = [(ShownBy::Simulate, 72), (ShownBy::PowerCut, 33)];

/// The crates of which programs are made that anybody uses.
const PRODUCTS: [&str; 8] = [
    "protocol",
    "net",
    "orchestrator-core",
    "orchestrator",
    "device-client",
    "broker-config",
    "server",
    "cli",
];

#[test]
fn every_mistake_has_one_place_in_the_code() {
    for (file, text) in switched(&root()).unwrap_or_else(|error| panic!("{error}")) {
        if let Err(error) = syn::parse_file(&text) {
            panic!("{file} with its mistakes: {error}; `simulate --mutants --check` says where");
        }
    }
}

#[test]
fn no_mistake_gets_lost() {
    let catalog = Catalog::read(&root()).unwrap();
    for (program, least) in PLANTED_MIN {
        let all = catalog.mistakes.iter();
        let of_program = all.filter(|mistake| mistake.shown_by == program).count();
        assert!(of_program >= least, "{program:?} shows only {of_program}");
    }
    for mistake in &catalog.mistakes {
        assert!(mistake.wrong.ends_with('.'), "{}", mistake.name);
    }
}

#[test]
fn what_is_used_has_no_hook_for_mistakes() {
    let mut looked_at = 0;
    for product in PRODUCTS {
        look(&root().join(product), &mut looked_at);
    }
    assert!(looked_at > 300, "{looked_at} files");
}

fn look(folder: &Path, looked_at: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look(&path, looked_at);
            continue;
        }
        if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "toml")
        {
            *looked_at += 1;
            let text = fs::read_to_string(&path).unwrap();
            for word in ["is_planted", "planted::", "mutants"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
        }
    }
}
