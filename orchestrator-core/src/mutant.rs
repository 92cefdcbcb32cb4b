//! Mistakes that can be planted in the rules, to prove that tests see them.

hoist_protocol::mutants! {
    /// A status that was known already is taken again (bad-inputs rows 26, 27).
    RepeatTaken = "repeat-taken";
    /// Outcomes without a valid signature count (W5).
    UnsignedAccepted = "unsigned-accepted";
    /// Outcomes that were overwritten before they were read are not missed (W5).
    EndedIgnored = "ended-ignored";
    /// An outcome of an earlier round, which a ring repeats, is taken again (S13).
    RegressAccepted = "regress-accepted";
    /// A record's old count stays when it changes (S15).
    OldCountKept = "old-count-kept";
    /// A record's timer does not move with it.
    TimerLeft = "timer-left";
    /// A due device fails without being asked (S7).
    TimeoutUnasked = "timeout-unasked";
    /// A device that was asked has no time to answer (S7).
    GraceSkipped = "grace-skipped";
    /// The roll call keeps its number, so nobody answers (W6).
    RollCallSilent = "roll-call-silent";
    /// A device's key is not pinned (W4).
    KeyNotPinned = "key-not-pinned";
    /// A scheduled deployment is listed at once (S2).
    StartIgnored = "start-ignored";
    /// The end time passes without an end (S10).
    UntilIgnored = "until-ignored";
    /// The head does not change when a deployment ends (S4).
    EndNotPublished = "end-not-published";
    /// A deployment whose artifacts are covered by a newer one stays (S11).
    CoveredKept = "covered-kept";
    /// Deployments that only overlap stand beside each other (S11).
    OverlapAccepted = "overlap-accepted";
    /// A deployment does not complete when everybody is successful (S1).
    SuccessNotCounted = "success-not-counted";
    /// A device that leaves stays counted (S5).
    LeaverCounted = "leaver-counted";
    /// Records of a device that leaves stay counted as a member's (S5).
    LeaverInside = "leaver-inside";
    /// A deployment counts slots as starts (S10).
    SlotsCountAsStarts = "slots-count-as-starts";
    /// A line is drawn above everybody (S10).
    LineOpen = "line-open";
    /// Who joins under a full line is not held (S10).
    JoinerAdmitted = "joiner-admitted";
    /// Where a device was before is forgotten (S14).
    StayForgotten = "stay-forgotten";
    /// A retry does not raise the round (S13).
    RoundNotRaised = "round-not-raised";
    /// A round that nobody opened is believed (S13).
    RoundBelieved = "round-believed";
    /// A changed head of a device is only in memory: a crash forgets it.
    OutboxNotWritten = "outbox-not-written";
    /// A removed device's token is not noted as worth nothing.
    TokenNotRevoked = "token-not-revoked";
    /// A late death beats a newer birth (W8).
    LateDeathBelieved = "late-death-believed";
}
