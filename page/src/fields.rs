//! Fields of JSON as people read them. Every text that anybody set is made harmless to the eye here.

use std::fmt::Write as _;

use serde_json::Value;

/// JSON by the names of its fields; what is not there is empty.
pub(crate) trait Fields {
    /// A text, harmless to the eye.
    fn text(&self, name: &str) -> String;
    /// A text that is there and not empty.
    fn maybe(&self, name: &str) -> Option<String>;
    /// A number.
    fn number(&self, name: &str) -> u64;
    /// True if it says so.
    fn flag(&self, name: &str) -> bool;
    /// A list.
    fn items(&self, name: &str) -> &[Value];
    /// The texts of a list.
    fn texts(&self, name: &str) -> Vec<String>;
    /// Names and texts of an object.
    fn pairs(&self, name: &str) -> Vec<(String, String)>;
}

impl Fields for Value {
    fn text(&self, name: &str) -> String {
        scalar(&self[name])
    }

    fn maybe(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> u64 {
        self[name].as_u64().unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self[name].as_bool().unwrap_or_default()
    }

    fn items(&self, name: &str) -> &[Value] {
        self[name].as_array().map_or(&[], Vec::as_slice)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.items(name).iter().map(scalar).collect()
    }

    fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let pairs = self[name].as_object().into_iter().flatten();
        pairs
            .map(|(name, value)| (visible(name), scalar(value)))
            .collect()
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// A text in which nothing hides, and nothing turns the text around it: what has no shape of its own is
/// written as its number.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

fn is_hidden(letter: char) -> bool {
    let is_control = letter.is_control() && !matches!(letter, '\n' | '\t');
    is_control
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_hides_in_a_text() {
        // bad-inputs row 92
        assert_eq!(visible("plain ü 漢\n"), "plain ü 漢\n");
        assert_eq!(visible("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(visible("a\u{202e}b\u{200b}c"), "a\\u{202e}b\\u{200b}c");
    }

    #[test]
    fn what_is_not_there_is_empty() {
        let value = json!({"a": "x", "n": 3, "l": ["p"], "o": {"k": "v"}});
        assert_eq!(
            (value.text("a"), value.text("b")),
            ("x".into(), String::new())
        );
        assert_eq!((value.number("n"), value.number("a")), (3, 0));
        assert_eq!(value.texts("l"), ["p"]);
        assert_eq!(value.pairs("o"), [("k".to_owned(), "v".to_owned())]);
        assert_eq!(value.maybe("b"), None);
    }
}
