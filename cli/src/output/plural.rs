//! Numbers with their nouns and verbs, so that one device is never "1 devices".

/// `1 device`, `2 devices`, for nouns that take an s.
pub(crate) fn count(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    format!("{number} {}", either(number, noun, &format!("{noun}s")))
}

/// The first form for one, the second for any other number.
pub(crate) fn either<'a>(number: impl Into<u64>, one: &'a str, many: &'a str) -> &'a str {
    match number.into() {
        1 => one,
        _ => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_none_are_many() {
        assert_eq!(count(0_u32, "device"), "0 devices");
        assert_eq!(count(1_u32, "device"), "1 device");
        assert_eq!(count(2_u64, "device"), "2 devices");
        assert_eq!(either(1_u32, "begins", "begin"), "begins");
    }
}
