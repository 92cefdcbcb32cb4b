//! The shape of the code: how long files and functions are, and in how many places a verb is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hoist_orchestrator_core::api::command::Verb;

use crate::harness::sources::{code, sources};

/// Most lines of a file.
const FILE_LINES_MAX: usize = 400;
/// Most lines of a function's body, for the one in the middle of a crate.
const MEDIAN_LINES_MAX: usize = 9;
/// A function with more lines in its body is a long one.
const LONG_LINES: usize = 40;
/// The most long functions among a hundred of a crate.
const LONG_PERCENT_MAX: usize = 5;

#[test]
fn no_file_is_longer_than_a_reader_keeps_in_mind() {
    let files = code();
    assert!(files.len() > 600, "only {} files", files.len());
    let lines = files
        .iter()
        .map(|file| (file.text.lines().count(), &file.path));
    let long: Vec<_> = lines.filter(|(lines, _)| *lines > FILE_LINES_MAX).collect();
    assert!(long.is_empty(), "{long:?}");
}

/// The lines of the bodies of all functions in formatted code: between the line that opens the body
/// and the brace that closes it, in the column where the function begins.
fn bodies(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let words = line.trim_start().split(' ');
        let mut words = words.skip_while(|word| {
            word.starts_with("pub")
                || ["in", "async", "const"].contains(word)
                || word.ends_with(')')
        });
        words.next() == Some("fn") && !line.trim_start().starts_with("//")
    };
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let ends = |line: &&&str| line.ends_with(['{', ';', '}']);
        let Some(head) = lines[place..].iter().position(|line| ends(&line)) else {
            continue;
        };
        let head = place + head;
        if lines[head].ends_with('}') {
            found.push(1);
        } else if lines[head].ends_with('{') {
            let closing = format!("{}}}", " ".repeat(indent(line)));
            let body = lines[head + 1..].iter().position(|line| *line == closing);
            found.extend(body);
        }
    }
    found
}

#[test]
fn functions_are_short_and_few_are_long() {
    let sample = "fn a() {\n    b();\n}\n\nimpl A {\n    pub(crate) async fn c(\n        &self,\n    ) {\n        d();\n        e();\n    }\n}\nfn f() {}\n";
    assert_eq!(bodies(sample), [1, 2, 1]);
    let mut crates: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for file in sources() {
        let name = file.path.split('/').next().unwrap_or_default();
        let all = crates.entry(name.to_owned()).or_default();
        all.extend(bodies(&file.text));
    }
    let (mut table, mut fails) = (String::new(), Vec::new());
    for (name, mut lines) in crates {
        lines.sort_unstable();
        let (count, median) = (lines.len(), lines[lines.len() / 2]);
        let long = lines.iter().filter(|lines| **lines > LONG_LINES).count();
        let _ = writeln!(
            table,
            "{name}: {count} functions, median {median} lines, {long} of more than {LONG_LINES}"
        );
        if median > MEDIAN_LINES_MAX || long * 100 > count * LONG_PERCENT_MAX || count < 100 {
            fails.push(name);
        }
    }
    println!("{table}");
    assert!(fails.is_empty(), "{fails:?}\n{table}");
}

/// Beside its file a verb is a line of the list, and the lines by which Rust knows the file.
#[test]
fn a_verb_is_one_file_of_the_core_and_one_line_of_its_list() {
    const LIST: &str = "orchestrator-core/src/api/command.rs";
    let files = sources();
    let core = files
        .iter()
        .filter(|file| file.path.starts_with("orchestrator-core/"));
    for verb in Verb::ALL {
        let name = verb.body();
        let of_its_own = format!("impl Body for {name} {{");
        let (own, others): (Vec<_>, Vec<_>) = core
            .clone()
            .partition(|file| file.text.contains(&of_its_own));
        assert_eq!(own.len(), 1, "{name}");
        for file in others {
            let named = |line: &&str| {
                let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
                let names = [format!("Verb::{name}"), format!("Command::{name}")];
                words
                    .into_iter()
                    .any(|word| names.iter().any(|it| it == word))
            };
            let named = file.text.lines().find(named);
            assert_eq!(named, None, "{}", file.path);
            let lines = file.text.lines().filter(|line| line.trim() == name);
            assert_eq!(
                lines.count(),
                usize::from(file.path == LIST),
                "{name} in {}",
                file.path
            );
        }
    }
}
