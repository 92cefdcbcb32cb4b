//! Device time (W2): the system's clock if the kernel says that it is synchronized, else
//! the highest signed time plus what has passed since. A device without a clock measures
//! freshness in powered-on time only; a clock that is wrong cannot expire everything, nor
//! keep anything alive.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rtime_clock::adjtime::{Timex, adjtimex};

use hoist_net::tls::Time;

use crate::machine::Now;
use crate::session::Clock;

/// The kernel's word for a clock that nothing keeps right (`STA_UNSYNC`).
const UNSYNCHRONIZED: i32 = 0x40;

/// The time that the system's clock shows.
#[derive(Debug, Clone, Copy)]
struct SystemClock {
    unix_ms: u64,
    synchronized: bool,
}

impl SystemClock {
    fn read() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut timex = Timex::new();
        // Where the kernel does not tell, the clock is not trusted.
        let asked = adjtimex(&mut timex);
        Self {
            unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            synchronized: asked.is_ok() && timex.0.status & UNSYNCHRONIZED == 0,
        }
    }
}

/// The device's clock.
#[derive(Debug)]
pub(super) struct DeviceClock {
    /// The highest time that was signed, or kept in the journal, and what had passed since
    /// it, at `base`.
    base_ms: u64,
    base: Instant,
}

impl DeviceClock {
    /// Goes on from the time in the journal.
    pub(super) fn new(kept_ms: u64) -> Self {
        Self {
            base_ms: kept_ms,
            base: Instant::now(),
        }
    }

    /// Device time, and fresh randomness.
    pub(super) fn read(&self) -> Now {
        let mut random = [0; 8];
        // Only jitter depends on it.
        let _fixed = getrandom::fill(&mut random);
        Now {
            unix_ms: self.at(Instant::now(), SystemClock::read()),
            random: u64::from_le_bytes(random),
        }
    }

    /// The time by which certificates and root documents are judged. A thief of the orchestrator's
    /// key signs any time, and must not have everything expire: the system's clock counts as it is
    /// if the kernel says that it is synchronized, and else only as far as something signed
    /// confirms it. It is never earlier than `root_ms`, at which the trusted root document was
    /// issued.
    pub(super) fn of_certificates(&self, root_ms: u64) -> Time {
        self.of_certificates_at(Instant::now(), SystemClock::read(), root_ms)
    }

    fn of_certificates_at(&self, now: Instant, system: SystemClock, root_ms: u64) -> Time {
        if system.synchronized && system.unix_ms >= root_ms {
            return Time::Known(system.unix_ms / 1_000);
        }
        let confirmed = match self.base_ms {
            0 => system.unix_ms,
            _ => system.unix_ms.min(self.free_running(now)),
        };
        Time::AtLeast(confirmed.max(root_ms) / 1_000)
    }

    fn at(&self, now: Instant, system: SystemClock) -> u64 {
        // Behind what was signed, time must still pass: waits count on it.
        let least = self.free_running(now);
        if system.synchronized {
            system.unix_ms.max(least)
        } else {
            least
        }
    }

    fn free_running(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.base).as_millis();
        self.base_ms
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

impl Clock for DeviceClock {
    fn now(&mut self) -> Now {
        self.read()
    }

    fn signed(&mut self, unix_ms: u64) {
        let now = Instant::now();
        self.base_ms = self.free_running(now).max(unix_ms);
        self.base = now;
    }

    fn begin_anew(&mut self, unix_ms: u64) {
        *self = Self::new(unix_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SIGNED: u64 = 1_790_000_000_000;
    const DAY_MS: u64 = 86_400_000;

    fn at(clock: &DeviceClock, later: Duration, unix_ms: u64, synchronized: bool) -> u64 {
        let system = SystemClock {
            unix_ms,
            synchronized,
        };
        clock.at(clock.base + later, system)
    }

    #[test]
    fn a_clock_that_nothing_keeps_right_is_not_believed() {
        // bad-inputs row 40: 1970, and 2099
        let mut clock = DeviceClock::new(0);
        clock.signed(SIGNED);
        for wrong in [0, 4_070_908_800_000] {
            let now = at(&clock, Duration::from_secs(60), wrong, false);
            assert_eq!(now, SIGNED + 60_000);
        }
    }

    #[test]
    fn no_signed_time_and_no_wrong_clock_alone_has_a_certificate_expire() {
        // bad-inputs row 40
        const ROOT: u64 = SIGNED - 400 * DAY_MS;
        const NEVER: u64 = 253_402_300_799_000;
        let known = |ms: u64| Time::Known(ms / 1_000);
        let at_least = |ms: u64| Time::AtLeast(ms / 1_000);
        for (signed, unix_ms, synchronized, judged) in [
            // A thief of the orchestrator's key, at a device with any clock.
            (NEVER, SIGNED, true, known(SIGNED)),
            (NEVER, SIGNED, false, at_least(SIGNED)),
            (NEVER, 0, false, at_least(ROOT)),
            // A clock of 2099, of which only a signed time says that it is wrong.
            (SIGNED, NEVER, false, at_least(SIGNED)),
            (SIGNED, SIGNED + DAY_MS, true, known(SIGNED + DAY_MS)),
            // The kernel is wrong about a clock that is behind the root document.
            (SIGNED, DAY_MS, true, at_least(ROOT)),
            // Nothing was signed yet: the clock is taken as it is.
            (0, SIGNED, false, at_least(SIGNED)),
        ] {
            let clock = DeviceClock::new(signed);
            let system = SystemClock {
                unix_ms,
                synchronized,
            };
            let found = clock.of_certificates_at(clock.base, system, ROOT);
            assert_eq!(found, judged, "{signed} {unix_ms} {synchronized}");
        }
    }

    #[test]
    fn a_synchronized_clock_is_believed_but_never_behind_what_was_signed() {
        let mut clock = DeviceClock::new(0);
        clock.signed(SIGNED);
        let now = |later, unix_ms| at(&clock, Duration::from_secs(later), unix_ms, true);
        assert_eq!(now(0, SIGNED + DAY_MS), SIGNED + DAY_MS);
        assert_eq!(now(0, SIGNED - DAY_MS), SIGNED);
        assert_eq!(
            now(60, SIGNED - DAY_MS),
            SIGNED + 60_000,
            "it never stands still"
        );
    }

    #[test]
    fn time_goes_on_from_the_journal_and_never_back() {
        let mut clock = DeviceClock::new(SIGNED);
        clock.signed(SIGNED - DAY_MS);
        assert!(at(&clock, Duration::ZERO, 0, false) >= SIGNED);
        clock.signed(SIGNED + DAY_MS);
        assert!(at(&clock, Duration::ZERO, 0, false) >= SIGNED + DAY_MS);
    }
}
