//! Mistakes in the order of things around the rules: the modelled adapter's.

hoist_protocol::mutants! {
    /// Heads are published before the decision is durable.
    PublishedBeforeCommit = "published-before-commit";
    /// Time in which the server was not connected counts as attended (S7).
    AbsenceAttended = "absence-attended";
}
