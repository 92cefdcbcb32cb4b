//! Strict TOML: unknown keys and wrong types are refused with the file, the line and a
//! suggestion. Never guesses what was meant.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a text is not the file it should be. The text names file, line, cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {detail}{}", path.display(), hint.as_deref().map(|hint| format!(" (did you mean `{hint}`?)")).unwrap_or_default())]
pub struct TomlError {
    /// The file.
    pub path: PathBuf,
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong there.
    pub detail: String,
    /// The known key that is closest to an unknown one.
    pub hint: Option<String>,
}

/// Parses a file's text into `T`, whose serde derive must deny unknown fields.
///
/// # Errors
/// [`TomlError`] for the first thing that does not fit.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TomlError> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        TomlError {
            path: path.to_path_buf(),
            line: line_of(text, offset),
            detail: error.message().to_owned(),
            hint: closest_key(error.message()),
        }
    })
}

/// The line (from 1) of a byte offset.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The line (from 1) on which a key is set, or 1: for values that parse but do not fit.
#[must_use]
pub fn line_of_key(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        line.trim_start()
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(sets).map_or(1, |index| index + 1)
}

/// Serde says "unknown field `x`, expected one of `a`, `b`": the nearest of the latter.
fn closest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (found, rest) = rest.split_once('`')?;
    rest.split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::damerau_levenshtein(found, known), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Sample {
        device: String,
        broker: String,
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_closest_known_key() {
        // bad-inputs row 70
        let text = "device = \"d1\"\n\nbrokr = \"x\"\n";
        let error = parse::<Sample>(Path::new("a.toml"), text).unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(error.hint.as_deref(), Some("broker"));
        assert!(
            error
                .to_string()
                .starts_with("a.toml:3: unknown field `brokr`")
        );
    }

    #[test]
    fn the_line_of_a_key_is_found_for_values_that_do_not_fit() {
        assert_eq!(line_of_key("a = 1\nkeep_alive = \"x\"\n", "keep_alive"), 2);
    }
}
