//! A command line that is none, told like every other failure; and help, which is asked for.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

use crate::exit;
use crate::output::{self, Format};

/// Prints help and version where they are asked for, and else what is wrong with the command
/// line.
pub(crate) fn misused(error: &clap::Error, format: Format) -> u8 {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let for_people = !matches!(format, Format::Json | Format::Ndjson);
    if !error.use_stderr() || (is_help && for_people) {
        let _ = error.print();
    } else {
        output::failure::print(&failure(error), format);
    }
    match error.use_stderr() {
        true => exit::USAGE,
        false => exit::OK,
    }
}

/// The mistake, in one sentence; then the word that was meant, or the usage of the command.
fn failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut parts = text.split("\n\n");
    let what = joined(parts.next().unwrap_or_default());
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    let what = what.trim_end_matches([':', '.']);
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
    let see = format!("see `{} --help`", command_of(usage.unwrap_or("hoist")));
    let help = match (meant(error), usage) {
        (Some(meant), _) => format!("did you mean {meant}? {see}"),
        (None, Some(usage)) if asks_for_more(error.kind()) => {
            format!("write it as `{usage}`; {see}")
        }
        (None, _) => see,
    };
    Failure::new(Code::Usage, what).help(help)
}

/// True if it helps to see what belongs to the command.
fn asks_for_more(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::UnknownArgument
            | ErrorKind::MissingSubcommand
    )
}

/// The words that were probably meant.
fn meant(error: &clap::Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        // In the order of their likeness, the best one last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    })
}

/// The commands at the begin of a usage.
fn command_of(usage: &str) -> String {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let words: Vec<&str> = usage.split(' ').take_while(is_name).collect();
    words.join(" ")
}

/// Lines as one.
fn joined(lines: &str) -> String {
    lines.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The format that was asked for on a command line that may be none, or by the variable.
pub(crate) fn asked_format(args: &[OsString]) -> Format {
    let words: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
    let after = words.windows(2).find_map(|pair| match &*pair[0] {
        "-o" | "--output" => Some(pair[1].to_string()),
        _ => None,
    });
    let within = words.iter().find_map(|word| {
        let word = word.strip_prefix("--output=").or(word.strip_prefix("-o"));
        word.map(str::to_owned)
    });
    let variable = || std::env::var("HOIST_OUTPUT").ok();
    let asked = after.or(within).or_else(variable);
    asked
        .and_then(|text| text.parse().ok())
        .unwrap_or(Format::Table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn said(line: &str) -> String {
        failure(&Cli::try_parse_from(line.split(' ')).unwrap_err()).to_string()
    }

    #[test]
    fn a_wrong_command_line_is_told_like_every_other_failure() {
        for (line, expected) in [
            (
                "hoist device shwo d1",
                "error[E_USAGE]: unrecognized subcommand 'shwo'\n\
                 help: did you mean show? see `hoist device --help`",
            ),
            (
                "hoist device revok d1",
                "error[E_USAGE]: unrecognized subcommand 'revok'\n\
                 help: did you mean revoke? see `hoist device --help`",
            ),
            (
                "hoist devce list",
                "error[E_USAGE]: unrecognized subcommand 'devce'\n\
                 help: did you mean device? see `hoist --help`",
            ),
            (
                "hoist deploy a@1",
                "error[E_USAGE]: the following required arguments were not provided: --group \
                 <GROUP>\nhelp: write it as `hoist deploy --group <GROUP> <RELEASE>`; see `hoist \
                 deploy --help`",
            ),
            (
                "hoist deploy a@1 --gruop eu",
                "error[E_USAGE]: unexpected argument '--gruop' found\n\
                 help: did you mean --group? see `hoist deploy --help`",
            ),
            (
                "hoist user add bob --role kng",
                "error[E_USAGE]: invalid value 'kng' for '--role <ROLE>' [possible values: viewer, \
                 deployer, admin]\nhelp: see `hoist --help`",
            ),
        ] {
            assert_eq!(said(line), expected, "{line}");
        }
        let number = said("hoist status x");
        assert!(
            number.contains("as `hoist deployment list` shows it\nhelp: see "),
            "{number}"
        );
    }
}
