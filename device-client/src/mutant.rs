//! Mistakes that can be planted in the device client, to prove that tests see them.

hoist_protocol::mutants! {
    /// The attempt is not counted in the install intent (S9).
    AttemptNotCounted = "attempt-not-counted";
    /// The journal is written after the effects it announces.
    JournalAfterEffect = "journal-after-effect";
    /// The artifact that failed is not rolled back (S8).
    RollbackSkipsFailing = "rollback-skips-failing";
    /// The artifacts before the one that failed are not rolled back (S8).
    RollbackSkipsEarlier = "rollback-skips-earlier";
    /// Runs of a rollback script are not counted (S9).
    RollbackWithoutEnd = "rollback-without-end";
    /// A failed rollback leaves the inventory as it was (S12).
    DistrustForgotten = "distrust-forgotten";
    /// What is on disk counts as proven.
    ResumeWithoutProof = "resume-without-proof";
    /// A finished download is not synced.
    DownloadNotSynced = "download-not-synced";
    /// The newest slot is written over.
    NewestSlotOverwritten = "newest-slot-overwritten";
    /// A slot is written and not synced.
    SlotNotSynced = "slot-not-synced";
    /// What a killed program did not sync is taken for durable.
    KilledIsDurable = "killed-is-durable";
    /// The entry of a new slot in its folder is not synced.
    FolderNotSynced = "folder-not-synced";
    /// A slot that could not be written counts as written.
    WriteErrorIgnored = "write-error-ignored";
    /// A file is put in the place of another before its content is synced.
    RenamedUnsynced = "renamed-unsynced";
    /// The journal forgets the job before its outcome is written (S15).
    OutcomeAfterJournal = "outcome-after-journal";
    /// A job goes on although its outcome is written.
    EndForgotten = "end-forgotten";
    /// The ring of outcomes is not read back.
    RingNotReadBack = "ring-not-read-back";
    /// What ended before the outcomes of the ring is not read back.
    PastNotReadBack = "past-not-read-back";
    /// An outcome counts as acknowledged when it is sent.
    AckedWhenSent = "acked-when-sent";
    /// Status numbers are not reserved before they are used.
    SequenceNotReserved = "sequence-not-reserved";
    /// The inventory is written before the whole release is confirmed.
    InventoryTooEarly = "inventory-too-early";
    /// The payload of what is installed is removed.
    OldPayloadRemoved = "old-payload-removed";
    /// The rollback script is not kept before the install.
    WayBackNotKept = "way-back-not-kept";
    /// The release is kept after the journal says that it is.
    ReleaseKeptTooLate = "release-kept-too-late";
    /// A restart in the same boot counts as the reboot.
    BootIdIgnored = "boot-id-ignored";
    /// A script that was cut off runs again although it is not idempotent.
    CutOffRunsAgain = "cut-off-runs-again";
    /// An unfinished update of an older agent goes on in the newest format.
    FormatNotKept = "format-not-kept";
    /// What belongs to the old group of a moved device is forgotten in memory only (W2).
    OldGroupKept = "old-group-kept";
    /// A head older than one seen before is obeyed (W2).
    ReplayObeyed = "replay-obeyed";
    /// A head past its validity is obeyed (W2).
    StaleObeyed = "stale-obeyed";
    /// A removed device goes on obeying its group (W4).
    RemovalUnheard = "removal-unheard";
    /// A hold in the device's head is not looked at (S10).
    HoldForgotten = "hold-forgotten";
    /// The line is not looked at: everybody is admitted (W3).
    LineForgotten = "line-forgotten";
    /// What has ended begins again (S13).
    EndedBeginsAgain = "ended-begins-again";
    /// What left the ring of outcomes is forgotten, and begins again while it is listed (S13).
    PastForgotten = "past-forgotten";
    /// The number of outcomes does not rise (W5).
    EndedNotCounted = "ended-not-counted";
    /// Status numbers begin again after a restart (W5).
    NumbersReused = "numbers-reused";
    /// A superseded deployment ends also when something is installed (S11).
    SupersededLate = "superseded-late";
    /// A roll call is not answered (W6).
    RollCallUnheard = "roll-call-unheard";
    /// The answer to a roll call leaves out what was acknowledged (W5).
    RollCallShort = "roll-call-short";
    /// A device that is asked alone tells only the ring (W5).
    PastUntold = "past-untold";
}
