//! Mistakes that can be planted in the device client, to prove that tests see them.

hoist_protocol::mutants! {
    /// The attempt is not counted in the install intent (S9).
    AttemptNotCounted = "attempt-not-counted";
}
