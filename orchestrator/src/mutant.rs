//! Mistakes that can be planted in the orchestrator, to prove that tests see them.

hoist_protocol::mutants! {
    /// A changed head goes out under the generation of the one before (W1).
    GenerationKept = "generation-kept";
    /// What somebody overwrote stays (bad-inputs row 12).
    OverwrittenLeft = "overwritten-left";
    /// An old head seen after a restart is published again as it was.
    OldHeadRepeated = "old-head-repeated";
    /// Heads are not published again on a new connection.
    ConnectionTrusted = "connection-trusted";
    /// A removed device's head stays.
    RemovedKept = "removed-kept";
    /// What an earlier run may have signed is not asked (W1).
    FloorIgnored = "floor-ignored";
    /// A device is told that it may start before its group's head is out (S10).
    GroupNotAwaited = "group-not-awaited";
}
