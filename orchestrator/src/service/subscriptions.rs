//! What the orchestrator subscribes to.

use hoist_protocol::topic::Topics;

/// What devices and operators write, and our own retained topics, to see when somebody
/// overwrites them.
pub(super) fn filters(topics: &Topics) -> Vec<String> {
    let below = [
        "g/+",
        "d/+",
        "r/+",
        "k/+",
        "s/+/+",
        "p/+/+",
        "i/+/+",
        "cmd/+/+/+",
    ];
    below.iter().map(|below| topics.filter(below)).collect()
}
