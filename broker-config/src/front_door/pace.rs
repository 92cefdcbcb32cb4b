//! The pace of each client. The amount that is left belongs to the client, not to its connection:
//! connecting again gives nothing back, and connections beside each other share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hoist_protocol::rate::Bucket;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::limits::Pace;
use super::owner::Owner;

/// Clients that are remembered while they are not connected; of one that was quiet for long,
/// nothing is missing.
const KEPT_MAX: usize = 20_000;
/// Above that, how often is looked for some to forget: it means looking at all of them.
const LOOK_PERIOD_MS: u64 = 1_000;
/// The most that a user may owe, in seconds of what comes back: a few large subscriptions, and an
/// end that can be waited for.
const OWED_SECONDS_MAX: u32 = 60;
/// Commands of one user that the orchestrator has not acknowledged: half of what it decides on
/// at once, so that another's comes into the next decision.
const COMMANDS: usize = 256;

/// The amount that one client has left.
#[derive(Debug)]
struct Left {
    pace: Pace,
    packets: Bucket,
    bytes: Bucket,
    owes_until: Option<Instant>,
}

impl Left {
    fn full(pace: Pace, now_ms: u64) -> Self {
        Self {
            pace,
            packets: Bucket::full(pace.packets, now_ms),
            bytes: Bucket::full(pace.bytes, now_ms),
            owes_until: None,
        }
    }

    fn is_full(&mut self, now_ms: u64) -> bool {
        let pace = self.pace;
        self.packets.is_full(pace.packets, now_ms) && self.bytes.is_full(pace.bytes, now_ms)
    }
}

/// One client's pace, shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct Paced {
    began: Instant,
    left: Arc<Mutex<Left>>,
    /// Its share of the commands that wait for the orchestrator.
    pub(crate) commands: Arc<Semaphore>,
}

impl Paced {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was sent: as so many packets, and so many bytes.
    ///
    /// # Errors
    /// How long to wait before as much may be sent; what is too much is not counted.
    pub(crate) fn send(&self, packets: usize, bytes: usize) -> Result<(), Duration> {
        self.take(number(packets), number(bytes))
    }

    /// Counts what was sent even if it is too much: until it is paid back, the client is read
    /// no further, on any of its connections.
    pub(crate) fn owe(&self, packets: usize, bytes: usize) {
        let now_ms = passed_ms(self.began);
        let mut left = self.lock();
        let Pace {
            packets: often,
            bytes: much,
            ..
        } = left.pace;
        let packets = number(packets);
        let for_packets = left.packets.owe(packets, often, OWED_SECONDS_MAX, now_ms);
        let for_bytes = left
            .bytes
            .owe(number(bytes), much, OWED_SECONDS_MAX, now_ms);
        let wait_ms = for_packets.max(for_bytes);
        if wait_ms > 0 {
            let until = Instant::now() + Duration::from_millis(wait_ms);
            left.owes_until = left.owes_until.max(Some(until));
        }
    }

    /// Until when it owes, or owed.
    pub(crate) fn owes_until(&self) -> Option<Instant> {
        self.lock().owes_until
    }

    /// Counts a CONNECT.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub(crate) fn connect(&self) -> Result<(), Duration> {
        let connect = self.lock().pace.connect;
        self.take(connect, 0)
    }

    /// Counts a CONNECT that is answered later when the client sent too much: after how long,
    /// or `None` if that is more than it has patience for; then it is not counted.
    pub(crate) fn connect_later(&self, patience: Duration) -> Option<Duration> {
        let now_ms = passed_ms(self.began);
        let mut left = self.lock();
        let Pace {
            connect,
            packets: often,
            ..
        } = left.pace;
        let mut packets = left.packets;
        let wait_ms = packets.owe(connect, often, OWED_SECONDS_MAX, now_ms);
        let wait = Duration::from_millis(wait_ms);
        (wait <= patience).then(|| {
            left.packets = packets;
            wait
        })
    }

    fn take(&self, packets: u32, bytes: u32) -> Result<(), Duration> {
        let now_ms = passed_ms(self.began);
        let mut left = self.lock();
        let Pace {
            packets: often,
            bytes: much,
            ..
        } = left.pace;
        let packets = left.packets.take(packets, often, now_ms);
        let bytes = left.bytes.take(bytes, much, now_ms);
        let wait_ms = packets.err().max(bytes.err());
        wait_ms.map_or(Ok(()), |ms| Err(Duration::from_millis(ms)))
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Everybody's.
pub(crate) struct Paces {
    began: Instant,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    of: HashMap<Owner, Paced>,
    look_at_ms: u64,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            all: Mutex::default(),
        }
    }
}

impl Paces {
    /// The amount that a client has left of its pace.
    pub(crate) fn of(&self, owner: &Owner, pace: Pace) -> Paced {
        let now_ms = passed_ms(self.began);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.of.get(owner) {
            // What it may do can have changed.
            known.lock().pace = pace;
            return known.clone();
        }
        if all.of.len() >= KEPT_MAX && now_ms >= all.look_at_ms {
            all.look_at_ms = now_ms + LOOK_PERIOD_MS;
            all.of.retain(|_, paced| {
                let waits = paced.commands.available_permits() < COMMANDS;
                waits || Arc::strong_count(&paced.left) > 1 || !paced.lock().is_full(now_ms)
            });
        }
        let paced = Paced {
            began: self.began,
            left: Arc::new(Mutex::new(Left::full(pace, now_ms))),
            commands: Arc::new(Semaphore::new(COMMANDS)),
        };
        all.of.insert(owner.clone(), paced.clone());
        paced
    }
}

fn passed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use hoist_protocol::rate::Rate;

    use super::*;

    fn pace(per_second: u32, burst: u32) -> Pace {
        let rate = Rate { per_second, burst };
        Pace {
            packets: rate,
            bytes: rate,
            connect: 10,
        }
    }

    fn device(number: usize) -> Owner {
        Owner::Device(format!("d{number}").parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_connection_owes_the_others_of_the_client_wait_for() {
        let paces = Paces::default();
        let owner = Owner::User("alice".parse().unwrap());
        let [one, other] = [0; 2].map(|_| paces.of(&owner, pace(10, 20)));
        let began = Instant::now();
        one.owe(20, 0);
        assert_eq!(other.owes_until(), None);
        other.owe(5, 0);
        one.owe(10, 0);
        other.owe(0, 1);
        let in_ms = |ms| Some(began + Duration::from_millis(ms));
        assert_eq!(one.owes_until(), in_ms(1_500), "the longer counts");
        assert_eq!(one.connect_later(Duration::from_secs(2)), None);
        let wait = Duration::from_millis(2_500);
        assert_eq!(one.connect_later(wait), Some(wait));
        tokio::time::advance(wait).await;
        assert_eq!(other.connect_later(wait), Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_forgotten_by_the_pace_of_a_newcomer() {
        let paces = Paces::default();
        for number in 0..KEPT_MAX {
            assert_eq!(paces.of(&device(number), pace(1, 10)).send(5, 0), Ok(()));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        // By its pace everybody would be full again.
        paces.of(&device(KEPT_MAX), pace(1_000_000, 5));
        let known = paces.of(&device(0), pace(1, 10));
        assert_eq!(known.send(8, 0), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(10)).await;
        paces.of(&device(KEPT_MAX + 1), pace(1, 10));
        let kept = paces.all.lock().unwrap().of.len();
        assert_eq!(kept, 2, "the one still held, and the newest");
    }
}
