//! When to try again: full-jitter exponential back-off.

/// First upper bound of a wait: most network errors are over after a moment.
const BASE_MS: u64 = 1_000;
/// Highest upper bound: a repaired server is found within minutes.
const CAP_MS: u64 = 5 * 60 * 1_000;

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
}
