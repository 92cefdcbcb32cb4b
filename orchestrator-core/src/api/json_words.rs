//! Turns what the JSON reader says into words of JSON: people who write commands in any
//! language know objects, arrays and numbers, not the types of the reader's language.

/// The reader's words for what it wants, and JSON's.
const WANTED: [(&str, &str); 17] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 to 18446744073709551615"),
    ("usize", "a whole number of at least 0"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number"),
    ("f64", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("string or map", "a text"),
    ("a borrowed string", "a text"),
    ("option", "a value or null"),
    ("unit", "null"),
    ("null", "null"),
    ("a map", "an object"),
    ("a sequence", "an array"),
];

/// The reader's words for what it found, and JSON's.
const FOUND: [(&str, &str); 6] = [
    ("map", "an object"),
    ("sequence", "an array"),
    ("null", "null"),
    ("unit value", "null"),
    ("newtype variant", "an object"),
    ("unit variant", "a text"),
];

/// The same sentence in words of JSON. What is not known to speak otherwise stays.
pub(crate) fn json_words(said: &str) -> String {
    let (what, place) = match said.rsplit_once(" at line ") {
        Some((what, place)) => (what, format!(" at line {place}")),
        None => (said, String::new()),
    };
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let kind = kinds.iter().find_map(|kind| what.strip_prefix(kind));
    if let Some((found, wanted)) = kind.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("{} is not {}{place}", of_found(found), of_wanted(wanted));
    }
    if let Some(unknown) = what.strip_prefix("unknown variant ") {
        let unknown = unknown.replace("expected one of", "the words are");
        let unknown = unknown.replace("expected", "the word is");
        return format!("there is no word {unknown}{place}");
    }
    said.to_owned()
}

fn of_found(found: &str) -> String {
    if let Some((_, word)) = FOUND.iter().find(|(reader, _)| *reader == found) {
        return (*word).to_owned();
    }
    let number = ["integer `", "floating point `", "boolean `"];
    let bare = number.iter().find_map(|kind| found.strip_prefix(kind));
    if let Some(value) = bare {
        return value.trim_end_matches('`').to_owned();
    }
    match found.strip_prefix("string ") {
        Some(text) => format!("the text {text}"),
        None => found.to_owned(),
    }
}

fn of_wanted(wanted: &str) -> String {
    let known = WANTED.iter().find(|(reader, _)| *reader == wanted);
    match known {
        Some((_, word)) => (*word).to_owned(),
        None if wanted.starts_with("struct ") || wanted.starts_with("internally tagged") => {
            "an object".to_owned()
        }
        None if wanted.starts_with("tuple ") || wanted.starts_with("an array") => {
            "an array".to_owned()
        }
        None => wanted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_says_is_said_in_words_of_json() {
        for (said, says) in [
            (
                "invalid type: string \"soon\", expected u32 at line 1 column 9",
                "the text \"soon\" is not a whole number from 0 to 4294967295 at line 1 column 9",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "-1 is not a whole number from 0 to 4294967295",
            ),
            (
                "invalid type: sequence, expected struct Limit",
                "an array is not an object",
            ),
            (
                "invalid type: map, expected a string",
                "an object is not a text",
            ),
            (
                "invalid type: floating point `1.5`, expected u8",
                "1.5 is not a whole number from 0 to 255",
            ),
            (
                "invalid type: boolean `true`, expected a sequence",
                "true is not an array",
            ),
            (
                "unknown variant `king`, expected one of `viewer`, `admin`",
                "there is no word `king`, the words are `viewer`, `admin`",
            ),
            ("missing field `release`", "missing field `release`"),
        ] {
            assert_eq!(json_words(said), says);
        }
    }
}
