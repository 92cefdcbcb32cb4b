//! `docs/bad-inputs.md` names the tests of each row; they name the row in a comment.
//! `HOIST_WRITE_BAD_INPUTS=1 cargo test -p hoist-tests bad_inputs` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::harness::sources::{ROOT, Text, code};

const DOCUMENT: &str = "docs/bad-inputs.md";
/// The begin of a row without a test; the reason follows.
const NONE: &str = "none: ";

const ANEW: &str = "write it anew: HOIST_WRITE_BAD_INPUTS=1 cargo test -p hoist-tests bad_inputs";

/// The rows that a line of a source names.
fn rows_of(line: &str) -> Vec<u32> {
    let Some((_, after)) = line.split_once("bad-inputs row") else {
        return Vec::new();
    };
    let after = after.trim_start_matches('s');
    let end = after.find(|c: char| !(c.is_ascii_digit() || " ,and".contains(c)));
    let numbers = &after[..end.unwrap_or(after.len())];
    let numbers = numbers.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// The test whose body a line is in, or whose comment it is.
fn test_at(lines: &[&str], at: usize) -> Option<String> {
    let name = |line: &str| {
        let (_, after) = line.split_once("fn ")?;
        Some(after.split(['(', '<']).next()?.to_owned())
    };
    let is_fn = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("fn ") || line.starts_with("async fn ")
    };
    let before = lines[..at].iter().rposition(is_fn)?;
    let attributes = &lines[before.saturating_sub(3)..before];
    let is_test = attributes.iter().any(|line| {
        let line = line.trim();
        line == "#[test]" || line.starts_with("#[tokio::test")
    });
    is_test.then(|| name(lines[before])).flatten()
}

/// Tests by the rows that they name.
fn named() -> BTreeMap<u32, Vec<String>> {
    let mut named: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let others = |file: &Text| !file.path.ends_with("bad_inputs.rs") || file.path.contains("wire");
    for Text { path, text } in code().into_iter().filter(others) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let whole_file = line.starts_with("//!") && text.contains("#[test]");
            let test = match whole_file {
                true => Some(format!("`{path}`")),
                false => test_at(&lines, at).map(|name| format!("`{path}` {name}")),
            };
            let Some(test) = test else { continue };
            for row in rows_of(line) {
                let tests = named.entry(row).or_default();
                if !tests.contains(&test) {
                    tests.push(test.clone());
                }
            }
        }
    }
    named
}

/// The row that a line of the document is, and what is before its last column and in it.
fn row(line: &str) -> Option<(u32, &str, &str)> {
    let (start, tests) = line.strip_suffix('|')?.rsplit_once('|')?;
    let number = start.strip_prefix("| ")?.split(' ').next()?;
    Some((number.parse().ok()?, start, tests.trim()))
}

fn written(document: &str, named: &BTreeMap<u32, Vec<String>>) -> String {
    let mut text = String::new();
    for line in document.lines() {
        match row(line) {
            Some((number, start, before)) => {
                let tests = named.get(&number).map(|tests| tests.join("<br>"));
                let tests = tests.unwrap_or_else(|| before.to_owned());
                text.push_str(&format!("{start}| {tests} |\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

#[test]
fn every_row_names_the_tests_that_name_it_or_says_why_there_is_none() {
    let path = Path::new(ROOT).join(DOCUMENT);
    let document = fs::read_to_string(&path).unwrap();
    let named = named();
    let anew = written(&document, &named);
    if std::env::var_os("HOIST_WRITE_BAD_INPUTS").is_some() {
        fs::write(&path, &anew).unwrap();
    }
    assert!(anew == fs::read_to_string(&path).unwrap(), "{ANEW}");
    let rows: BTreeMap<u32, &str> = anew
        .lines()
        .filter_map(row)
        .map(|(number, _, tests)| (number, tests))
        .collect();
    assert!(rows.keys().copied().eq(1..=92), "{:?}", rows.keys());
    for (number, tests) in &rows {
        let is_none = tests.len() > NONE.len() && tests.starts_with(NONE);
        assert_eq!(
            is_none,
            !named.contains_key(number),
            "row {number}: {tests}"
        );
    }
    let unknown: Vec<&u32> = named.keys().filter(|row| !rows.contains_key(row)).collect();
    assert!(unknown.is_empty(), "rows that are none: {unknown:?}");
}

#[test]
fn a_comment_in_a_test_or_over_a_file_of_tests_is_found() {
    assert_eq!(
        rows_of("// bad-inputs rows 1, 3 and 73: closed"),
        [1, 3, 73]
    );
    assert_eq!(rows_of("    // S7, bad-inputs row 41"), [41]);
    assert_eq!(rows_of("// rows of a table"), [0; 0]);
    let lines = [
        "#[test]",
        "fn it_holds() {",
        "    // here",
        "}",
        "fn helper() {",
        "    // no",
    ];
    assert_eq!(test_at(&lines, 2).as_deref(), Some("it_holds"));
    assert_eq!(test_at(&lines, 5), None);
}
