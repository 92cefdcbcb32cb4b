//! The two clocks, and which timers are due by them. What a timer means is the core's.

use std::time::{Duration, Instant};

use hoist_orchestrator_core::input::Now;
use hoist_orchestrator_core::key::Key;
use hoist_orchestrator_core::timer::{Clock, Timer};

use crate::rows::ReadError;
use crate::store::Store;

/// Timers handled at once: the rest is still due a moment later.
const DUE_MAX: usize = 256;

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Time during which the orchestrator was connected, ever (S7): it stands still while
/// devices cannot be heard.
#[derive(Debug)]
pub(crate) struct AttendedClock {
    before_ms: u64,
    since: Option<Instant>,
}

impl AttendedClock {
    /// A clock that goes on from what was stored.
    pub(crate) fn new(before_ms: u64) -> Self {
        Self {
            before_ms,
            since: None,
        }
    }

    pub(crate) fn start(&mut self) {
        self.stop();
        self.since = Some(Instant::now());
    }

    pub(crate) fn stop(&mut self) {
        self.before_ms = self.ms();
        self.since = None;
    }

    pub(crate) fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it has run this long since it was started last.
    pub(crate) fn has_run(&self, this_long: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= this_long)
    }

    /// The time now, on both clocks.
    pub(crate) fn now(&self) -> Now {
        Now {
            unix_ms: unix_ms(),
            attended_ms: self.ms(),
        }
    }

    fn ms(&self) -> u64 {
        let elapsed = self.since.map_or(0, |since| {
            u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
        });
        self.before_ms.saturating_add(elapsed)
    }
}

/// Timers whose time has come by these clocks, earliest first for each.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn due(
    store: &dyn Store,
    clocks: &[Clock],
    now: Now,
) -> Result<Vec<Timer>, ReadError> {
    let mut due = Vec::new();
    for clock in clocks {
        let now_ms = match clock {
            Clock::Unix => now.unix_ms,
            Clock::Attended => now.attended_ms,
        };
        let page = store.scan(clock.prefix().0, None, DUE_MAX).await?;
        let timers = page
            .items
            .into_iter()
            .filter_map(|(key, _)| Timer::parse(&Key(key)));
        due.extend(timers.take_while(|timer| timer.due_ms <= now_ms));
    }
    Ok(due)
}
