//! The short name of a rule leads to the rule: `S7` and `W2` to `docs/rules.md`, `bad-inputs
//! row 33` to `docs/bad-inputs.md`.

use std::collections::BTreeSet;

use crate::harness::sources::{Text, code, documents};

const RULES: &str = "docs/rules.md";
const BAD_INPUTS: &str = "docs/bad-inputs.md";

/// Rules are named by a letter and a number.
fn is_rule(word: &str) -> bool {
    let number = word.strip_prefix(['S', 'W']);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The text of a file for its readers: comments of code, all of a document.
fn prose(file: &Text) -> String {
    if !file.path.ends_with(".rs") {
        return file.text.clone();
    }
    let comments = file.text.lines().filter_map(|line| line.split_once("//"));
    let texts = comments.map(|(_, comment)| comment.trim_matches(['/', '!', ' ']));
    texts.collect::<Vec<&str>>().join(" ")
}

/// The first cells of a document's tables.
fn first_cells(documents: &[Text], path: &str) -> BTreeSet<String> {
    let document = documents.iter().find(|file| file.path == path).unwrap();
    let rows = document.text.lines().filter_map(|line| {
        let cell = line.strip_prefix('|')?.split('|').next()?;
        Some(cell.trim().to_owned())
    });
    rows.collect()
}

#[test]
fn every_rule_that_is_named_is_in_the_document_of_rules() {
    let documents = documents();
    let rules = first_cells(&documents, RULES);
    let mut named = BTreeSet::new();
    for file in code().iter().chain(&documents) {
        for word in words(&prose(file)).filter(|word| is_rule(word)) {
            assert!(rules.contains(word), "{}: {word} is no rule", file.path);
            named.insert(word.to_owned());
        }
    }
    assert!(named.len() > 20, "only {named:?} are named");
}

#[test]
fn every_row_that_is_named_is_one_of_bad_inputs() {
    let documents = documents();
    let rows = first_cells(&documents, BAD_INPUTS);
    let mut named = 0;
    for file in code() {
        let prose = prose(&file);
        for (at, what) in prose.match_indices("row") {
            // Not "grow 2" or "throw 1".
            if prose[..at].ends_with(char::is_alphanumeric) {
                continue;
            }
            let after = prose[at + what.len()..].trim_start_matches('s');
            let number = after.strip_prefix(' ').map(|after| {
                let digits = after.find(|c: char| !c.is_ascii_digit());
                &after[..digits.unwrap_or(after.len())]
            });
            let Some(number) = number.filter(|number| !number.is_empty()) else {
                continue;
            };
            let of = &prose[..at];
            let resolves = of.ends_with("bad-inputs ") && rows.contains(number);
            assert!(resolves, "{}: row {number} is nowhere", file.path);
            named += 1;
        }
    }
    assert!(named > 100, "only {named} rows are named");
}
