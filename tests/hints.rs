//! No hint names a command that does not exist: every `hoist …` and `hoist-agent …` in a
//! message, a comment or a document is understood by the program it names.

use clap::error::ErrorKind;

use crate::harness::sources::{documents, sources};

/// Where a command in a sentence ends.
const ENDS: [&str; 10] = ["`", "\"", "\\n", "\n", "  ", " #", " >", " &", "; ", " | "];

/// The words that stand for something in a command: `{device}`, `ID`, `name@version`.
fn placeholder(word: &str) -> bool {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    word.starts_with('{') || (!word.is_empty() && word.chars().all(is_name))
}

/// A command as written, made one that can be parsed; none where it is only a prefix.
fn arguments(written: &str) -> Vec<String> {
    let end = ENDS.iter().filter_map(|end| written.find(end)).min();
    let written = &written[..end.unwrap_or(written.len())];
    let mut words = Vec::new();
    for word in written.split(' ').filter(|word| !word.is_empty()) {
        if word == "…" {
            break;
        }
        let word = word.trim_matches(['[', ']', '(', ')', ',', ';', ':', '.']);
        let first = word.split('|').next().unwrap_or_default();
        words.push(match placeholder(first) {
            true if words
                .last()
                .is_some_and(|flag: &String| flag.ends_with("-timeout")) =>
            {
                "1h".to_owned()
            }
            true => "1".to_owned(),
            false => first.to_owned(),
        });
    }
    words
}

/// The commands of a program in a text: those in back quotes, or wherever they stand.
fn commands<'a>(text: &'a str, program: &str, quoted: bool) -> Vec<&'a str> {
    let found = text.match_indices(program).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + program.len()..].chars().next();
        match (quoted, before, after) {
            (true, Some('`'), Some(' ' | '`')) => true,
            (true, ..) | (false, _, Some('`')) => false,
            (false, before, Some(' ')) => {
                let next = text[at + program.len() + 1..].chars().next();
                let begins = next.is_some_and(|c| c.is_ascii_lowercase() || c == '-');
                begins && before.is_none_or(|c| " `\"".contains(c))
            }
            (false, ..) => false,
        }
    });
    found.map(|(at, _)| &text[at..]).collect()
}

fn hoist(words: &[String]) -> Result<(), String> {
    let parsed = hoist_cli::command_line().try_get_matches_from(words);
    match parsed.map_err(|error| (error.kind(), error)) {
        Ok(_)
        | Err((
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand,
            _,
        )) => Ok(()),
        Err((_, error)) => Err(error.to_string().lines().next().unwrap_or_default().into()),
    }
}

fn agent(words: &[String]) -> Result<(), String> {
    match hoist_device_client::agent::check_arguments(words[1..].iter().cloned()) {
        // `hoist-agent apply` in a sentence names the command and not a file.
        Err(why) if !why.contains("needs") => Err(why),
        _ => Ok(()),
    }
}

/// The faults of the commands of a line.
fn check(line: &str, quoted: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (program, check) in [
        ("hoist-agent", agent as fn(&[String]) -> _),
        ("hoist", hoist),
    ] {
        for written in commands(line, program, quoted) {
            let words = arguments(written);
            // A sentence may name a flag without what it takes.
            let valued = [&words[..], &["1".to_owned()]].concat();
            let is_flag = words.last().is_some_and(|word| word.starts_with("--"));
            if let Err(why) = check(&words)
                && !(is_flag && check(&valued).is_ok())
            {
                wrong.push(format!("{}: {why}", words.join(" ")));
            }
        }
    }
    wrong
}

#[test]
fn every_command_in_a_message_or_a_comment_exists() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (index, line) in file.text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for why in check(line, is_comment) {
                wrong.push(format!("{}:{}: {why}", file.path, index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_in_a_document_exists() {
    let mut wrong = Vec::new();
    for file in documents() {
        for (index, line) in file.text.lines().enumerate() {
            let typed = line.strip_prefix("$ ").unwrap_or(line);
            let is_typed = typed.starts_with("hoist ") || typed.starts_with("hoist-agent ");
            for why in check(typed, !is_typed) {
                wrong.push(format!("{}:{}: {why}", file.path, index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_does_not_exist_is_seen() {
    for bad in [
        "try `hoist repair`",
        "`hoist device list --everything`",
        "`hoist-agent mend`",
        "`hoist deploy {release} --gruop {group}`",
    ] {
        assert_eq!(check(bad, true).len(), 1, "{bad}");
    }
    for good in [
        "ask with `hoist device why {device}`, then wait",
        "`hoist device …`",
        "`hoist deployment retry N --device ID`",
        "`hoist-agent apply F.hoist|DIR [--config F]`",
    ] {
        assert!(check(good, true).is_empty(), "{good}");
    }
}
