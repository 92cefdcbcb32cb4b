//! TOML files of ours, and what is said of one that is wrong.

use std::ops::Range;
use std::path::Path;

use hoist_protocol::code::Code;

use crate::closest::closest;
use crate::failure::Failure;

/// Parses a TOML file of ours; an error names the line, and an unknown key the key that
/// was probably meant.
pub fn parse_toml<T: serde::de::DeserializeOwned>(
    path: &Path,
    text: &str,
    keys: &[&'static str],
) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let line = text
            .get(..span.start)
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1;
        let why = error.message();
        let failure = Failure::new(Code::Config, format!("{}:{line}: {why}", path.display()));
        let unknown = why.starts_with("unknown field").then(|| word(text, span));
        match unknown.flatten().and_then(|word| closest(&word, keys)) {
            Some(meant) => failure.help(format!("did you mean {meant}?")),
            None => failure,
        }
    })
}

fn word(text: &str, span: Range<usize>) -> Option<String> {
    let word = text.get(span)?.split(['=', ' ']).next()?;
    Some(word.to_owned())
}
