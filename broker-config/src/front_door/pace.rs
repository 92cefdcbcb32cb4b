//! How much each client sends. What is left belongs to the client, not to its connection:
//! connecting again gives nothing back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hoist_protocol::rate::Bucket;
use tokio::time::Instant;

use super::hub::Owner;
use super::limits::Pace;

/// Clients that are remembered while they are not connected; of one that was quiet for long,
/// nothing is missing.
const KEPT_MAX: usize = 20_000;

/// What one client has left.
#[derive(Debug)]
struct Left {
    packets: Bucket,
    bytes: Bucket,
}

/// One client's pace, shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct Paced {
    pace: Pace,
    began: Instant,
    left: Arc<Mutex<Left>>,
}

impl Paced {
    /// Counts what was sent: as so many packets, and so many bytes.
    ///
    /// # Errors
    /// How long to wait before as much may be sent.
    pub(crate) fn send(&self, packets: usize, bytes: usize) -> Result<(), Duration> {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        self.take(count(packets), count(bytes))
    }

    /// Counts a CONNECT.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub(crate) fn connect(&self) -> Result<(), Duration> {
        self.take(self.pace.connect, 0)
    }

    fn take(&self, packets: u32, bytes: u32) -> Result<(), Duration> {
        let now_ms = passed_ms(self.began);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let packets = left.packets.take(packets, self.pace.packets, now_ms);
        let bytes = left.bytes.take(bytes, self.pace.bytes, now_ms);
        let wait_ms = packets.err().max(bytes.err());
        wait_ms.map_or(Ok(()), |ms| Err(Duration::from_millis(ms)))
    }
}

/// Everybody's.
pub(crate) struct Paces {
    began: Instant,
    left: Mutex<HashMap<Owner, Arc<Mutex<Left>>>>,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            left: Mutex::default(),
        }
    }
}

impl Paces {
    /// What a client has left of its pace.
    pub(crate) fn of(&self, owner: &Owner, pace: Pace) -> Paced {
        let now_ms = passed_ms(self.began);
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT_MAX && !all.contains_key(owner) {
            all.retain(|_, left| Arc::strong_count(left) > 1 || !is_full(left, pace, now_ms));
        }
        let left = all.entry(owner.clone()).or_insert_with(|| {
            Arc::new(Mutex::new(Left {
                packets: Bucket::full(pace.packets, now_ms),
                bytes: Bucket::full(pace.bytes, now_ms),
            }))
        });
        Paced {
            pace,
            began: self.began,
            left: Arc::clone(left),
        }
    }
}

fn is_full(left: &Mutex<Left>, pace: Pace, now_ms: u64) -> bool {
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    left.packets.is_full(pace.packets, now_ms) && left.bytes.is_full(pace.bytes, now_ms)
}

fn passed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
