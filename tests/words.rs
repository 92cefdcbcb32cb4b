//! Comments say what a thing is: their first word is the noun that they are about. Words that
//! have a meaning of their own here are in `docs/glossary.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::harness::sources::{code, documents};

/// Words with which a comment begins that names nothing.
const NO_NOUNS: [&str; 9] = [
    "What", "Whatever", "Who", "Whoever", "Whose", "Whom", "Whether", "How", "However",
];
/// The most comments in a hundred that may begin so.
const PERCENT_MAX: usize = 7;

/// The first lines of the doc comments of a file, a block each.
fn first_lines(text: &str) -> Vec<&str> {
    let comment = |line: &'_ str| -> bool {
        let line = line.trim_start();
        line.starts_with("///") || line.starts_with("//!")
    };
    let mut first = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if comment(line) && !inside {
            first.push(line.trim_start().trim_start_matches(['/', '!']).trim());
        }
        inside = comment(line);
    }
    first
}

/// The number of comments of each crate, and of those that begin with no noun.
fn counted() -> BTreeMap<String, (usize, usize)> {
    let mut crates: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in code() {
        let name = file.path.split('/').next().unwrap_or_default();
        let (all, without) = crates.entry(name.to_owned()).or_default();
        for line in first_lines(&file.text) {
            let word = line.split(|c: char| !c.is_alphabetic()).next();
            *all += 1;
            *without += usize::from(word.is_some_and(|word| NO_NOUNS.contains(&word)));
        }
    }
    crates
}

#[test]
fn comments_begin_with_what_they_are_about() {
    let crates = counted();
    let all: usize = crates.values().map(|(all, _)| all).sum();
    let without: usize = crates.values().map(|(_, without)| without).sum();
    let mut table = String::new();
    let mut too_many = Vec::new();
    let total = ("all".to_owned(), (all, without));
    for (name, (all, without)) in crates.into_iter().chain([total]) {
        let _ = writeln!(table, "{name}: {without} of {all}");
        if without * 100 > all * PERCENT_MAX {
            too_many.push(name);
        }
    }
    println!("{table}");
    assert!(all > 5_000, "the comments are not found:\n{table}");
    assert!(
        too_many.is_empty(),
        "more than {PERCENT_MAX} %: {too_many:?}\n{table}"
    );
}

#[test]
fn every_word_of_the_glossary_is_in_use() {
    let documents = documents();
    let glossary = documents
        .iter()
        .find(|file| file.path == "docs/glossary.md");
    let rows = glossary.unwrap().text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        Some((cells.next()?, cells.next()?))
    });
    let words: Vec<(&str, &str)> = rows
        .filter(|(word, _)| !["word", "---"].contains(word))
        .collect();
    assert!(words.len() > 40, "only {words:?}");
    let others = documents
        .iter()
        .filter(|file| file.path != "docs/glossary.md");
    let code = code();
    let used: Vec<String> = others
        .chain(&code)
        .map(|file| file.text.to_lowercase())
        .collect();
    for (word, meaning) in words {
        let is_used = used.iter().any(|text| text.contains(&word.to_lowercase()));
        assert!(is_used, "{word} is used nowhere");
        let sentences = meaning.matches(". ").count() + usize::from(meaning.ends_with('.'));
        assert_eq!(sentences, 1, "{word}: {meaning}");
    }
}
