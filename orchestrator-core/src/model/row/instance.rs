//! The row of one orchestrator: what only it knows and counts.

use hoist_protocol::codec::{DecodeError, Message, decode};
use hoist_protocol::envelope::KeyId;
use hoist_protocol::id::{DeploymentId, Generation};
use serde::{Deserialize, Serialize};

/// Generations reserved ahead of the clock, which are ms: one write a minute at most, and the
/// next run of the server is at most so far ahead of it.
pub(crate) const GENERATIONS_MS: u64 = 60_000;

/// Whatever belongs to one orchestrator alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Highest number of a deployment that it gave or saw.
    pub last_deployment: DeploymentId,
    /// Milliseconds this orchestrator has been connected, ever.
    pub uptime_ms: u64,
    /// [`InstanceRow::uptime_ms`] when the connection came up last.
    pub connected_at_ms: u64,
    /// Counts how often the broker forgot us: presence heard before is unknown (W8).
    pub broker_run: u32,
    /// No spec was ever signed with a higher generation (W1): what is signed by the next run
    /// of the server is above it, whatever its clock says.
    pub generations_ms: u64,
    /// The clock at the newest batch that carried anything, Unix ms; zero in a row of an older
    /// version.
    pub written_ms: u64,
    /// By how much reports of devices have raised [`InstanceRow::last_deployment`] since a number
    /// was given, or shown by a spec of ours.
    pub told: u32,
    /// The newest [`InstanceRow::broker_run`] after whose loss every group was asked for a resync (W6).
    pub asked_run: u32,
    /// The last of the numbers that are reserved for it: those above
    /// [`InstanceRow::last_deployment`] are still to be given.
    pub numbers_end: DeploymentId,
    /// The key whose generations these are; absent in a row of an older version.
    pub signer: Option<KeyId>,
}

impl Message for InstanceRow {
    const VERSION: u8 = 5;
    const BYTES_MAX: usize = 80;

    fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
        let (version, fields) = bytes.split_first()?;
        let grown: &[u8] = match version {
            1 => &[0, 0, 0, 0, 0],
            2 => &[0, 0, 0],
            3 => &[0, 0],
            4 => &[0],
            _ => return None,
        };
        let row: Result<Self, _> = decode(&[&[Self::VERSION], fields, grown].concat());
        Some(row.map(|mut row| {
            if *version < 3 {
                // It kept no count of it, and asked as soon as it was connected.
                row.asked_run = row.broker_run;
            }
            if *version < 4 {
                // There was one orchestrator, which reserved nothing.
                row.numbers_end = row.last_deployment;
            }
            (row, &[][..])
        }))
    }

    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl InstanceRow {
    /// True if a broker lost what was retained, and not every group was asked for a resync since.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.asked_run != self.broker_run
    }

    /// The highest generation that this key may have signed with. A new key begins anew: nothing by
    /// the one before it holds a device back (bad-inputs row 43).
    #[must_use]
    pub fn reserved_by(&self, signer: Option<KeyId>) -> Generation {
        match self.is_by_another(signer) {
            true => Generation(0),
            false => Generation(self.generations_ms),
        }
    }

    /// Takes note of the key that signs from now on.
    pub(crate) fn signed_by(&mut self, signer: KeyId) {
        self.generations_ms = self.reserved_by(Some(signer)).0;
        self.signer = Some(signer);
    }

    fn is_by_another(&self, signer: Option<KeyId>) -> bool {
        self.signer
            .zip(signer)
            .is_some_and(|(before, now)| before != now)
    }

    /// The generation up to which the store knows of what was signed: specs are signed by the
    /// clock, unless that stands behind what was reserved before (W1).
    #[must_use]
    pub fn known_ms(&self) -> u64 {
        let by_clock = self.written_ms.saturating_add(GENERATIONS_MS) >= self.generations_ms;
        match by_clock {
            true => self.written_ms.min(self.generations_ms),
            false => self.generations_ms,
        }
    }
}
