//! What the device keeps across a power cut: the journal record (at most 128 bytes with
//! sequence and checksum) and the ring of final outcomes. Bytes only, no files; the
//! reader refuses what is torn, and a slot of a newer version is never taken for empty.

use hoist_protocol::id::{Generation, RollCall, Seq, sha256};
use hoist_protocol::status::{FinalResult, OUTCOMES_MAX, Outcome};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::machine::Job;

/// Largest journal slot: one small flash write.
pub const RECORD_BYTES_MAX: usize = 128;
/// Largest ring slot: eight outcomes with their output fit.
pub const RING_BYTES_MAX: usize = 4_096;
/// Version of both slot formats.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Everything of the machine that must survive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Status numbers below this may have been used. Reserved in blocks, so that progress
    /// costs no flash write (W5).
    pub reserved: Seq,
    /// Final outcomes that an acknowledged status has carried, counted like `ended`.
    pub acked: u32,
    /// Highest generation of the group's head (W2).
    pub generation: Generation,
    /// Last answered roll call of this device.
    pub device_roll: RollCall,
    /// Last answered roll call of its group.
    pub group_roll: RollCall,
    /// The started deployment, if any.
    pub job: Option<Job>,
}

/// The last final outcomes and how many there ever were (W5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ring {
    /// Outcomes ever reached.
    pub ended: u32,
    /// The newest of them, oldest first; at most [`OUTCOMES_MAX`].
    pub outcomes: Vec<Outcome>,
}

impl Ring {
    /// Adds a new final outcome; the oldest makes room.
    pub fn push(&mut self, outcome: Outcome) {
        if self.outcomes.len() == OUTCOMES_MAX {
            self.outcomes.remove(0);
        }
        self.outcomes.push(outcome);
        self.ended = self.ended.saturating_add(1);
    }

    /// The outcomes that came after the first `acked` ones.
    #[must_use]
    pub fn since(&self, acked: u32) -> &[Outcome] {
        let count = usize::try_from(self.ended.saturating_sub(acked)).unwrap_or(OUTCOMES_MAX);
        &self.outcomes[self.outcomes.len().saturating_sub(count)..]
    }

    /// Forgets the script output of acknowledged outcomes: it travels once.
    pub fn drop_output(&mut self, acked: u32) {
        let fresh = self.since(acked).len();
        let old = self.outcomes.len() - fresh;
        for outcome in &mut self.outcomes[..old] {
            if let FinalResult::Failed(failure) = &mut outcome.result {
                failure.output.clear();
            }
        }
    }
}

/// Why a slot cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Never written.
    #[error("the slot is empty")]
    Empty,
    /// Cut off, or its checksum is wrong.
    #[error("the slot is torn or damaged")]
    Damaged,
    /// Written by a newer agent.
    #[error("the slot is of format {version}, newer than this agent knows")]
    Newer {
        /// The version found.
        version: u8,
    },
}

/// Encodes one slot: version, sequence, content, checksum.
#[must_use]
pub fn write_slot<T: Serialize>(sequence: u64, content: &T) -> Vec<u8> {
    let mut slot = vec![VERSION];
    slot.extend_from_slice(&sequence.to_le_bytes());
    // These structs always encode.
    slot.extend(postcard::to_allocvec(content).unwrap_or_default());
    let hash = sha256(&slot);
    slot.extend_from_slice(&hash[..CHECKSUM_BYTES]);
    slot
}

/// Decodes one slot to its sequence and content.
///
/// # Errors
/// [`SlotError`].
pub fn read_slot<T: DeserializeOwned>(slot: &[u8]) -> Result<(u64, T), SlotError> {
    let Some(&version) = slot.first() else {
        return Err(SlotError::Empty);
    };
    let end = slot
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or(SlotError::Damaged)?;
    let (body, checksum) = slot.split_at(end);
    if sha256(body)[..CHECKSUM_BYTES] != *checksum {
        return Err(SlotError::Damaged);
    }
    if version != VERSION {
        return Err(SlotError::Newer { version });
    }
    let (sequence, content) = body[1..]
        .split_first_chunk::<8>()
        .ok_or(SlotError::Damaged)?;
    let content = postcard::from_bytes(content).map_err(|_| SlotError::Damaged)?;
    Ok((u64::from_le_bytes(*sequence), content))
}
