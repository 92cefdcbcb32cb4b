//! The environment of scripts beside what the agent tells them: `HOME`, and the variables of
//! `[environment]` in `agent.toml`, which are their owner's word.

use super::strict_toml::Located;

/// Most variables: more is a configuration of something else.
const VARIABLES_MAX: usize = 64;
/// Longest name and value, in bytes.
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Begins the names that the agent gives.
const OUR_PREFIX: &str = "HOIST_";

/// The first variable that cannot be given to scripts: its line, and why.
pub(super) fn check(variables: &[(String, Located)]) -> Result<(), (usize, String)> {
    for (number, (name, value)) in variables.iter().enumerate() {
        if let Some(why) = refusal(number, name, &value.text) {
            return Err((value.line, format!("environment {name:?}: {why}")));
        }
    }
    Ok(())
}

fn refusal(number: usize, name: &str, value: &str) -> Option<&'static str> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let plain = |c: char| letter(c) || c.is_ascii_digit();
    if number >= VARIABLES_MAX {
        return Some("there are more than 64 variables");
    }
    if !name.starts_with(letter) || !name.chars().all(plain) || name.len() > NAME_BYTES_MAX {
        return Some("a name is at most 64 letters, digits and _, and begins with no digit");
    }
    if name.starts_with(OUR_PREFIX) {
        return Some("names that begin with HOIST_ are given by the agent");
    }
    if value.len() > VALUE_BYTES_MAX || value.contains('\0') {
        return Some("a value is at most 4096 bytes, none of them zero");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_none_or_the_agents_is_refused_with_its_line() {
        let refused = |name: &str, value: &str| {
            let value = Located {
                text: value.to_owned(),
                line: 7,
            };
            check(&[(name.to_owned(), value)])
        };
        assert_eq!(refused("TZ", "Europe/Berlin"), Ok(()));
        assert_eq!(refused("_a1", ""), Ok(()));
        let long = "x".repeat(4_097);
        for (name, value) in [
            ("", "x"),
            ("1A", "x"),
            ("A-B", "x"),
            ("A=B", "x"),
            ("HOIST_DEVICE", "x"),
            ("A", "a\0b"),
            ("A", &long),
            (&long, "x"),
        ] {
            assert_eq!(refused(name, value).unwrap_err().0, 7, "{name}");
        }
    }
}
