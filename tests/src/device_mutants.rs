//! Which program proves that a mistake planted in the device client is seen.

use hoist_device_client::mutant::Mutant;

/// Whether one device and its disk are enough to see it (`power_cut`); the others need a
/// fleet and its server (`simulate`).
pub(crate) fn shows_on_one_device(mutant: Mutant) -> bool {
    match mutant {
        Mutant::ReplayObeyed
        | Mutant::StaleObeyed
        | Mutant::RemovalUnheard
        | Mutant::HoldForgotten
        | Mutant::LineForgotten
        | Mutant::EndedBeginsAgain
        | Mutant::PastForgotten
        | Mutant::EndedNotCounted
        | Mutant::NumbersReused
        | Mutant::SupersededLate
        | Mutant::RollCallUnheard
        | Mutant::RollCallShort
        | Mutant::PastUntold => false,
        Mutant::AttemptNotCounted
        | Mutant::JournalAfterEffect
        | Mutant::RollbackSkipsFailing
        | Mutant::RollbackSkipsEarlier
        | Mutant::RollbackWithoutEnd
        | Mutant::DistrustForgotten
        | Mutant::ResumeWithoutProof
        | Mutant::DownloadNotSynced
        | Mutant::NewestSlotOverwritten
        | Mutant::SlotNotSynced
        | Mutant::KilledIsDurable
        | Mutant::FolderNotSynced
        | Mutant::WriteErrorIgnored
        | Mutant::RenamedUnsynced
        | Mutant::OutcomeAfterJournal
        | Mutant::EndForgotten
        | Mutant::RingNotReadBack
        | Mutant::PastNotReadBack
        | Mutant::AckedWhenSent
        | Mutant::SequenceNotReserved
        | Mutant::InventoryTooEarly
        | Mutant::OldPayloadRemoved
        | Mutant::WayBackNotKept
        | Mutant::ReleaseKeptTooLate
        | Mutant::BootIdIgnored
        | Mutant::CutOffRunsAgain
        | Mutant::FormatNotKept
        | Mutant::OldGroupKept => true,
    }
}
