//! Text in lines that fit a terminal.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// Columns of a terminal.
pub(crate) const WIDTH: usize = 80;

/// A sentence as it is, when it fits a terminal; else in lines that do.
pub(crate) fn fitted(sentence: &str) -> String {
    match sentence.chars().count() > WIDTH {
        true => wrapped("", sentence),
        false => format!("{sentence}\n"),
    }
}

/// Text behind its beginning, in lines that fit a terminal; a longer word stays whole.
pub(crate) fn wrapped(begin: &str, said: &str) -> String {
    let indent = if begin.starts_with(' ') {
        begin.chars().count()
    } else {
        4
    };
    let mut text = begin.trim_end().to_owned();
    let mut column = text.chars().count();
    let mut gap = begin.chars().count() - column;
    for word in said.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column + gap + length > WIDTH && column > indent {
            let _ = write!(text, "\n{:indent$}", "");
            (column, gap) = (indent, 0);
        }
        let _ = write!(text, "{:gap$}{word}", "");
        column += gap + length;
        gap = 1;
    }
    text + "\n"
}

/// The word of something that is one in JSON.
pub(crate) fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(word)) => word,
        _ => "-".to_owned(),
    }
}
