//! The word that somebody meant who mistyped it.

/// The candidate that was probably meant.
pub fn closest<'a>(typed: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // Below this similarity a suggestion confuses more than it helps.
    const SIMILAR: f64 = 0.6;
    candidates
        .iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(typed, candidate),
                *candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
