//! Every stable code is a row of the one table in `protocol/src/code/table.rs`: none is written
//! by hand anywhere else, and none that a text names is unexplained.

use hoist_protocol::code::Code;

use crate::harness::sources::{documents, sources};

const TABLE: &str = "protocol/src/code/table.rs";

/// The words of a line that look like codes.
fn codes(line: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.split(|c| !is_part(c))
        .filter(|word| {
            let name = word.strip_prefix("E_");
            name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| !c.is_lowercase()))
        })
        .collect()
}

#[test]
fn no_code_is_written_by_hand_outside_the_table() {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| file.path != TABLE) {
        for (index, line) in file.text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && !codes(line).is_empty() {
                found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "use Code::…:\n{}", found.join("\n"));
}

#[test]
fn every_code_that_a_comment_or_a_document_names_is_in_the_table() {
    let mut unknown = Vec::new();
    for file in sources().iter().chain(&documents()) {
        for (index, line) in file.text.lines().enumerate() {
            for code in codes(line)
                .iter()
                .filter(|code| Code::parse(code).is_none())
            {
                unknown.push(format!("{}:{}: {code}", file.path, index + 1));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "not in {TABLE}:\n{}",
        unknown.join("\n")
    );
}
