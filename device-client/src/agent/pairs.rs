//! Names and what belongs to them, as tables of TOML have them. Lists, because files hold few
//! names, and every kind of tree would be 4 kB of the agent.

/// Names and what belongs to each, sorted by name.
pub type Pairs<V> = Vec<(String, V)>;

/// The value that belongs to a name.
#[must_use]
pub fn find<'p, V>(pairs: &'p [(String, V)], name: &str) -> Option<&'p V> {
    let mut pairs = pairs.iter();
    pairs
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// Puts something in the place of what belonged to a name, which it returns.
pub fn put<V>(pairs: &mut Pairs<V>, name: String, value: V) -> Option<V> {
    match pairs.iter().position(|(known, _)| *known >= name) {
        Some(place) if pairs[place].0 == name => {
            Some(std::mem::replace(&mut pairs[place].1, value))
        }
        place => {
            pairs.insert(place.unwrap_or(pairs.len()), (name, value));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_by_name_and_hold_each_name_once() {
        let mut pairs = Pairs::new();
        for (name, value) in [("b", 1), ("c", 2), ("a", 3), ("aa", 4)] {
            assert_eq!(put(&mut pairs, name.to_owned(), value), None);
        }
        assert_eq!(put(&mut pairs, "b".to_owned(), 5), Some(1));
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "aa", "b", "c"]);
        assert_eq!(find(&pairs, "b"), Some(&5));
        assert_eq!(find(&pairs, "d"), None);
    }
}
