//! Which of the known names was meant by one that is none of them.

/// Edits between what was typed and what was meant.
const EDITS_MAX: usize = 3;

/// The name that was meant, if one is near.
#[must_use]
pub fn nearest<'a, T: AsRef<str> + Ord + ?Sized>(
    wanted: &str,
    names: impl Iterator<Item = &'a T>,
) -> Option<&'a T> {
    // A short name is not meant by another of which every character differs.
    let count = wanted.chars().count();
    let most = EDITS_MAX.min(count / 2);
    // A name of another length is far, however long it would take to say how far.
    let like = |name: &&T| name.as_ref().chars().count().abs_diff(count) <= most;
    let near = names.filter(like);
    let near = near.map(|name| (strsim::damerau_levenshtein(wanted, name.as_ref()), name));
    let best = near.filter(|(edits, _)| *edits <= most).min();
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant_and_a_strange_one_is_not() {
        let names = ["hello@1.0.0", "hello@1.1.0", "eu"].map(str::to_owned);
        let nearest = |wanted| nearest(wanted, names.iter()).map(String::as_str);
        assert_eq!(nearest("helo@1.1.0"), Some("hello@1.1.0"));
        assert_eq!(nearest("firmware@2"), None);
        assert_eq!(nearest("us"), None);
        assert_eq!(nearest(&"h".repeat(1 << 20)), None);
    }
}
