//! Timers are rows whose keys sort by clock and due time: the adapter scans the start of
//! each clock's range and hands what is due to [`crate::engine::decide::decide`].

use std::ops::Range;

use hoist_protocol::codec::encode_fields;
use hoist_protocol::id::{ClaimId, DeploymentId, DeviceId, RequestId, UserId};
use serde::{Deserialize, Serialize};

use crate::model::key::{Key, RowKey, TIMER};
use crate::model::row::TimerRow;
use crate::model::txn::{Txn, Undecided};

/// Which clock a timer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Clock {
    /// Unix time in ms.
    Unix,
    /// Connected uptime in ms (S7).
    Uptime,
}

/// Something to look at when its time comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// When, in ms of its kind's clock.
    pub due_ms: u64,
    /// The purpose of the timer.
    pub kind: TimerKind,
}

/// The purpose of a timer. Part of keys: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerKind {
    /// A scheduled deployment starts.
    Start(DeploymentId),
    /// A deployment's end time.
    Until(DeploymentId),
    /// A device's time in a deployment is over (S7).
    Device(DeploymentId, DeviceId),
    /// An answer no longer needs to be remembered.
    Forget(UserId, RequestId),
    /// Contact with a device that works on something has been lost for long (S6).
    Contact(DeviceId),
    /// The line of a limited deployment was asked for and is not found (S10).
    Seek(DeploymentId),
    /// A device that was asked a moment ago is asked about outcomes that are missing (W5).
    Doubt(DeviceId),
    /// The rows that are left of a removed deployment were asked for and are not found.
    Sweep(DeploymentId),
    /// A device has waited for approval for too long.
    Waiting(DeviceId),
    /// A claim has been over for long.
    Claim(ClaimId),
    /// The token that a device had before is good no longer.
    Overlap(DeviceId),
    /// A rollout is looked at: something happened in it, or a time of it has come.
    Rollout(DeploymentId),
    /// A deployment in which too many devices failed has another release take its place.
    Fallback(DeploymentId),
    /// The next page of a pass over all devices was asked for and is not found.
    Pass,
    /// The clocks change where the windows of a deployment are.
    Window(DeploymentId),
}

impl TimerKind {
    /// The clock it is on.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match self {
            Self::Device(..)
            | Self::Contact(_)
            | Self::Seek(_)
            | Self::Doubt(_)
            | Self::Sweep(_)
            | Self::Rollout(_)
            | Self::Fallback(_)
            | Self::Pass => Clock::Uptime,
            Self::Start(_)
            | Self::Until(_)
            | Self::Forget(..)
            | Self::Waiting(_)
            | Self::Claim(_)
            | Self::Overlap(_)
            | Self::Window(_) => Clock::Unix,
        }
    }
}

impl Clock {
    /// The bytes with which the keys of this clock's timers start; the keys are in order of due
    /// time.
    #[must_use]
    pub fn prefix(self) -> Key {
        Key(vec![TIMER, self as u8])
    }

    /// The range of keys in which this clock's timers lie that are due by `now_ms`.
    #[must_use]
    pub fn due(self, now_ms: u64) -> Range<Key> {
        let start = self.prefix();
        let mut end = start.clone();
        let later_ms = now_ms.saturating_add(1);
        end.0.extend_from_slice(&later_ms.to_be_bytes());
        start..end
    }
}

/// Sets a timer.
pub(crate) fn set_timer(txn: &mut Txn, due_ms: u64, kind: TimerKind) -> Result<(), Undecided> {
    let timer = Timer { due_ms, kind };
    // Loaded, so that one deleted before and set again finds its generation.
    txn.read(&timer)?;
    txn.put(&timer, &TimerRow {});
    Ok(())
}

/// Clears a timer, if it is set.
pub(crate) fn clear_timer(txn: &mut Txn, due_ms: u64, kind: TimerKind) -> Result<(), Undecided> {
    let timer = Timer { due_ms, kind };
    txn.read(&timer)?;
    txn.delete(&timer);
    Ok(())
}

impl RowKey for Timer {
    type Row = TimerRow;

    fn key(&self) -> Key {
        let mut bytes = self.kind.clock().prefix().0;
        bytes.extend_from_slice(&self.due_ms.to_be_bytes());
        bytes.extend(encode_fields(&self.kind));
        Key(bytes)
    }
}

impl Timer {
    /// The timer of a key, or `None` when it is no timer's.
    #[must_use]
    pub fn parse(key: &Key) -> Option<Self> {
        let rest = key.0.strip_prefix(&[TIMER])?.get(1..)?;
        let (due, kind) = rest.split_first_chunk::<8>()?;
        let timer = Self {
            due_ms: u64::from_be_bytes(*due),
            kind: postcard::from_bytes(kind).ok()?,
        };
        (timer.key() == *key).then_some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_its_key_and_sorts_by_due_time() {
        let timer = |due_ms| Timer {
            due_ms,
            kind: TimerKind::Device(DeploymentId(3), "d1".parse().unwrap()),
        };
        assert_eq!(Timer::parse(&timer(7).key()), Some(timer(7)));
        assert!(timer(255).key() < timer(256).key());
        assert_eq!(Timer::parse(&Key(vec![TIMER, 1, 0])), None);
    }
}
