//! Memory of the device across a power cut: the journal record (at most 192 bytes with sequence and
//! checksum) and the ring of final outcomes with what ended before them. Bytes only, no files; the
//! reader refuses what is torn, and a slot of a newer format is never taken for empty.

use alloc::vec;
use alloc::vec::Vec;

use hoist_protocol::codec::encode_fields;
use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{DeploymentId, Generation, ReleaseId, Resync, Round, Seq, sha256};
use hoist_protocol::status::{FinalResult, OUTCOMES_MAX, Outcome, TOLD_MAX};
use serde::{Deserialize, Serialize};

use crate::job::{Job, Terms};
use crate::past::{Ended, Ending, Past, ReleaseMark};

/// Largest journal slot: one small flash write. Without windows 128 bytes are enough.
pub const RECORD_BYTES_MAX: usize = 192;
/// Largest ring slot: eight outcomes with their output fit, and everything remembered.
pub const RING_BYTES_MAX: usize = 4_096;
const CHECKSUM_BYTES: usize = 4;

/// A value that a slot can hold. A format that was ever released is read for ever.
pub trait Slot: Sized {
    /// The newest format this agent knows.
    const NEWEST: u8;

    /// The format this content is to be written in.
    fn format(&self) -> u8;

    /// Its bytes in that format.
    fn encode(&self) -> Vec<u8>;

    /// Content of a known format, or `None` when the bytes are not one.
    fn decode(format: u8, bytes: &[u8]) -> Option<Self>;
}

/// A generation that was seen, with the key that signed it: nothing lower by a key that is still
/// trusted is obeyed (W1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Floor {
    /// The generation.
    pub generation: Generation,
    /// The key; absent where an older agent did not keep it.
    pub by: Option<KeyId>,
}

/// Everything of the machine that must survive. Format 2 added `time_ms` and `memory`, format 3
/// `signer`, format 4 `terms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The format it is written in. When an older agent began a job, it is that agent's
    /// until the next start without a job: its way back may bring that agent back.
    pub format: u8,
    /// Status numbers below this may have been used. Reserved in blocks, so that progress
    /// costs no flash write (W5).
    pub reserved: Seq,
    /// Final outcomes that an acknowledged status has carried, counted like `ended`.
    pub acked: u32,
    /// Highest generation of the group's spec (W2).
    pub generation: Generation,
    /// The key that signed it; absent where it is not known.
    pub signer: Option<KeyId>,
    /// Last answered resync of this device.
    pub device_resync: Resync,
    /// Last answered resync of its group.
    pub group_resync: Resync,
    /// Device time when this was written, Unix ms: a device without a clock goes on from
    /// here (W2).
    pub time_ms: u64,
    /// The reliability of what is kept.
    pub memory: Memory,
    /// The started deployment, if any.
    pub job: Option<Job>,
    /// The terms of its policy.
    pub terms: Terms,
}

/// The memory that a device has of its past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    /// Everything.
    Whole,
    /// Nothing yet, or it was wiped: the device's own retained status would tell (bad-inputs row 28).
    New,
    /// Journal or ring was damaged, and what was running then is not settled (bad-inputs row 60).
    Lost,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            format: Self::NEWEST,
            reserved: Seq::default(),
            acked: 0,
            generation: Generation::default(),
            signer: None,
            device_resync: Resync::default(),
            group_resync: Resync::default(),
            time_ms: 0,
            memory: Memory::Whole,
            job: None,
            terms: Terms::default(),
        }
    }
}

impl Slot for Record {
    const NEWEST: u8 = Self::WITH_TERMS;

    fn format(&self) -> u8 {
        self.format
    }

    fn encode(&self) -> Vec<u8> {
        let rolls = (self.device_resync, self.group_resync);
        let start = (self.reserved, self.acked, self.generation, rolls);
        match self.format {
            1 => encode_fields(&(start, &self.job)),
            2 => encode_fields(&(start, (self.time_ms, self.memory), &self.job)),
            format => {
                let more = (self.time_ms, self.memory, self.signer);
                match (format, &self.job) {
                    (Self::WITH_TERMS.., Some(_)) => {
                        encode_fields(&(start, more, &self.job, &self.terms))
                    }
                    _ => encode_fields(&(start, more, &self.job)),
                }
            }
        }
    }

    fn decode(format: u8, bytes: &[u8]) -> Option<Self> {
        type Start = (Seq, u32, Generation, (Resync, Resync));
        let (start, bytes): (Start, _) = postcard::take_from_bytes(bytes).ok()?;
        let ((time_ms, memory, signer), bytes) = match format {
            1 => ((0, Memory::Whole, None), bytes),
            2 => {
                let ((time_ms, memory), bytes) = postcard::take_from_bytes(bytes).ok()?;
                ((time_ms, memory, None), bytes)
            }
            _ => postcard::take_from_bytes(bytes).ok()?,
        };
        let (job, bytes): (Option<Job>, _) = postcard::take_from_bytes(bytes).ok()?;
        let terms = match (format, &job) {
            (Self::WITH_TERMS.., Some(_)) => postcard::from_bytes(bytes).ok()?,
            _ => Terms::default(),
        };
        let (reserved, acked, generation, (device_resync, group_resync)) = start;
        Some(Self {
            format,
            reserved,
            acked,
            generation,
            signer,
            device_resync,
            group_resync,
            time_ms,
            memory,
            job,
            terms,
        })
    }
}

impl Record {
    /// The first format that keeps the terms of a job.
    pub const WITH_TERMS: u8 = 4;
}

/// The last final outcomes and how many there ever were (W5), and what ended before them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ring {
    /// Outcomes ever reached.
    pub ended: u32,
    /// The newest of them, oldest first; at most [`OUTCOMES_MAX`].
    pub outcomes: Vec<Outcome>,
    /// The deployments that are over, those of the outcomes included.
    pub past: Past,
}

/// The past follows the outcomes. An agent from before it was kept reads up to there and
/// writes no more than that, so the format stays the first: an unfinished update of the agent
/// itself may go on in either of them.
impl Slot for Ring {
    const NEWEST: u8 = 1;

    fn format(&self) -> u8 {
        Self::NEWEST
    }

    fn encode(&self) -> Vec<u8> {
        // It always encodes.
        encode_fields(&((self.ended, &self.outcomes), &self.past))
    }

    fn decode(_format: u8, bytes: &[u8]) -> Option<Self> {
        let ((ended, outcomes), rest): ((u32, Vec<Outcome>), _) =
            postcard::take_from_bytes(bytes).ok()?;
        let past = match rest {
            [] => past_of(&outcomes),
            rest => postcard::from_bytes(rest).ok()?,
        };
        Some(Self {
            ended,
            outcomes,
            past,
        })
    }
}

/// The past that outcomes alone tell.
fn past_of(outcomes: &[Outcome]) -> Past {
    let mut past = Past::default();
    for outcome in outcomes {
        past.add(ended(outcome, None));
    }
    past
}

fn ended(outcome: &Outcome, release: Option<ReleaseId>) -> Ended {
    Ended {
        deployment: outcome.deployment,
        release: release.map(ReleaseMark::of),
        round: outcome.round,
        ending: Ending::from(&outcome.result),
    }
}

impl Ring {
    /// Adds a new final outcome, of a release if it is known; the oldest makes room.
    pub fn push(&mut self, outcome: Outcome, release: Option<ReleaseId>) {
        self.past.add(ended(&outcome, release));
        if self.outcomes.len() == OUTCOMES_MAX {
            self.outcomes.remove(0);
        }
        self.outcomes.push(outcome);
        self.ended = self.ended.saturating_add(1);
    }

    /// True if a round of a deployment is over on this device (S13), as [`Past::is_over`].
    #[must_use]
    pub fn is_over(
        &self,
        deployment: DeploymentId,
        release: Option<ReleaseId>,
        round: Round,
    ) -> bool {
        self.past.is_over(deployment, release, round)
    }

    /// The outcomes that came after the first `acked` ones.
    #[must_use]
    pub fn since(&self, acked: u32) -> &[Outcome] {
        let count = usize::try_from(self.ended.saturating_sub(acked)).unwrap_or(OUTCOMES_MAX);
        &self.outcomes[self.outcomes.len().saturating_sub(count)..]
    }

    /// Everything that is remembered, at most [`TOLD_MAX`] outcomes: what left the ring
    /// without its particulars, then the ring.
    #[must_use]
    pub fn everything(&self) -> Vec<Outcome> {
        let is_told = |ended: &&Ended| {
            let mut outcomes = self.outcomes.iter();
            outcomes.any(|outcome| outcome.deployment == ended.deployment)
        };
        let room = TOLD_MAX - self.outcomes.len().min(TOLD_MAX);
        let left: Vec<&Ended> = self.past.iter().filter(|ended| !is_told(ended)).collect();
        let left = left.iter().skip(left.len().saturating_sub(room));
        let left = left.map(|ended| ended.outcome());
        left.chain(self.outcomes.iter().cloned()).collect()
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
    #[error("the slot is of format {format}, newer than this agent knows")]
    Newer {
        /// The format found.
        format: u8,
    },
}

/// Encodes one slot: format, sequence, content, checksum.
#[must_use]
pub fn write_slot<T: Slot>(sequence: u64, content: &T) -> Vec<u8> {
    let mut slot = vec![content.format()];
    slot.extend_from_slice(&sequence.to_le_bytes());
    slot.extend(content.encode());
    let hash = sha256(&slot);
    slot.extend_from_slice(&hash[..CHECKSUM_BYTES]);
    slot
}

/// Decodes one slot to its sequence and content.
///
/// # Errors
/// [`SlotError`].
pub fn read_slot<T: Slot>(slot: &[u8]) -> Result<(u64, T), SlotError> {
    let Some(&format) = slot.first() else {
        return Err(SlotError::Empty);
    };
    let end = slot
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or(SlotError::Damaged)?;
    let (body, checksum) = slot.split_at(end);
    if sha256(body)[..CHECKSUM_BYTES] != *checksum || format == 0 {
        return Err(SlotError::Damaged);
    }
    if format > T::NEWEST {
        return Err(SlotError::Newer { format });
    }
    let (sequence, content) = body[1..]
        .split_first_chunk::<8>()
        .ok_or(SlotError::Damaged)?;
    let content = T::decode(format, content).ok_or(SlotError::Damaged)?;
    Ok((u64::from_le_bytes(*sequence), content))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
