//! The counts of a group's devices, by which nobody has to look at each of them.

use serde::{Deserialize, Serialize};

use crate::model::row::DeviceRow;

/// The counts of a group's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupCountRow {
    /// Registered in it.
    pub members: u32,
    /// Online among them, as heard in [`GroupCountRow::run`].
    pub online: u32,
    /// The broker's run that `online` is of ([`super::InstanceRow::broker_run`]).
    pub run: u32,
    /// Held by an operator among them, and not revoked.
    pub held: u32,
    /// Revoked ones among them.
    pub revoked: u32,
}

impl GroupCountRow {
    /// As counted in a run of the broker: who was online in another is unknown (W8).
    #[must_use]
    pub fn in_run(self, run: u32) -> Self {
        let online = if self.run == run { self.online } else { 0 };
        Self {
            online,
            run,
            ..self
        }
    }

    /// Those that start nothing whatever is deployed.
    #[must_use]
    pub fn starting_nothing(self) -> u32 {
        self.held.saturating_add(self.revoked)
    }

    /// The number in which a device is counted that starts nothing; none for any other.
    pub fn counting(&mut self, row: &DeviceRow) -> Option<&mut u32> {
        match (row.revoked(), row.held) {
            (Some(_), _) => Some(&mut self.revoked),
            (None, true) => Some(&mut self.held),
            (None, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::tests::{golden, older_golden};

    #[test]
    fn counts_keep_their_bytes_and_those_of_before_are_read() {
        let count = GroupCountRow {
            members: 4,
            online: 1,
            run: 2,
            held: 3,
            revoked: 1,
        };
        golden(&count, "020401020301");
        let older = GroupCountRow {
            revoked: 0,
            ..count
        };
        older_golden(&older, "0104010203");
    }
}
