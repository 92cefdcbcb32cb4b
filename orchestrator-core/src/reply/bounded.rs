//! Texts of a refusal, which often say what somebody sent: a reply repeats only as much of it as
//! tells which part is meant.

/// The longest word that is repeated whole, in characters: an id has 64, a hash in hex as well.
const WORD_CHARS_MAX: usize = 160;
/// The characters of a longer word that are kept at its begin.
const BEGIN_CHARS: usize = 80;
/// The characters of a longer word that are kept at its end, with the quote that closes it.
const END_CHARS: usize = 24;
/// The longest text, in characters.
const TEXT_CHARS_MAX: usize = 1_600;

/// The text with its middle left out where a word is long, and its end where all of it is.
#[must_use]
pub fn bounded(text: &str) -> String {
    let words: String = text
        .split_inclusive(char::is_whitespace)
        .map(word)
        .collect();
    match words.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

fn word(word: &str) -> String {
    let count = word.chars().count();
    if count <= WORD_CHARS_MAX {
        return word.to_owned();
    }
    let begin = word.chars().take(BEGIN_CHARS);
    let end = word.chars().skip(count - END_CHARS);
    begin.chain(['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_only_so_much_of_what_was_sent_and_all_of_what_follows_it() {
        let usual = "unknown field `deploymnet`, expected one of `deployment`, `reason`";
        assert_eq!(bounded(usual), usual);
        let sent = "ä".repeat(16_000);
        let said = bounded(&format!("unknown field `{sent}`, expected `release`"));
        assert!(said.chars().count() < 200, "{said}");
        assert!(said.starts_with("unknown field `ää"), "{said}");
        assert!(said.ends_with("ä`, expected `release`"), "{said}");
        assert!(bounded(&"a ".repeat(8_000)).chars().count() <= TEXT_CHARS_MAX + 1);
        assert!(bounded(&"[0]".repeat(127)).chars().count() < 200);
    }
}
