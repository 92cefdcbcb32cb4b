//! When to try again: full-jitter exponential back-off.

/// First upper bound of a wait: most network errors are over after a moment.
const BASE_MS: u64 = 1_000;
/// Highest upper bound: a repaired server is found within minutes.
const CAP_MS: u64 = 5 * 60 * 1_000;

/// Nobody is asked twice in this time.
const PAUSE_MS: u64 = 1_000;
/// The longest wait that a server can ask for: a maintenance window. A mistake there must
/// not keep a fleet from what is repaired long since.
const ASKED_MAX_MS: u64 = 60 * 60 * 1_000;

/// A wait in ms before something is tried again: what the other side asked for (0 for
/// nothing) within bounds, and then back-off, so that not everybody comes at once.
#[must_use]
pub(super) fn retry_ms(waits: u32, asked_ms: u64, random: u64) -> u64 {
    asked_ms.clamp(PAUSE_MS, ASKED_MAX_MS) + backoff_ms(waits, random)
}

/// A wait in ms: evenly distributed below a bound that doubles with every wait in a row.
#[must_use]
pub fn backoff_ms(waits: u32, random: u64) -> u64 {
    let bound = BASE_MS.saturating_mul(1 << waits.min(20)).min(CAP_MS);
    random % bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_stays_below_a_bound_that_doubles_to_five_minutes() {
        assert!((0..100).all(|random| backoff_ms(0, random * 997) < 1_000));
        assert_eq!(backoff_ms(3, 7_999), 7_999);
        assert_eq!(backoff_ms(3, 8_000), 0);
        assert_eq!(backoff_ms(u32::MAX, CAP_MS - 1), CAP_MS - 1);
    }

    #[test]
    fn nothing_is_tried_twice_a_second_or_before_the_time_that_was_asked_for() {
        assert_eq!(retry_ms(0, 0, 0), 1_000);
        assert_eq!(retry_ms(0, 3_000, 999), 3_999);
        assert_eq!(retry_ms(2, 3_000, 3_999), 6_999);
        assert_eq!(retry_ms(0, u64::MAX, 0), 3_600_000);
    }
}
