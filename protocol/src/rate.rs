//! A limit on repeated actions: so many at once, and so many a second from then on.
//! Time is an argument.

/// So many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number that comes back each second.
    pub per_second: u32,
    /// The number that may be taken at once.
    pub burst: u32,
}

/// The rest that somebody has left of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// In thousandths; below zero what is owed.
    left: i64,
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        Self {
            left: thousandths(rate.burst),
            at_ms: now_ms,
        }
    }

    /// Takes some. More than the whole burst is never there to take.
    ///
    /// # Errors
    /// After how many ms as much will be there; nothing was taken.
    pub fn take(&mut self, count: u32, rate: Rate, now_ms: u64) -> Result<(), u64> {
        self.refill(rate, now_ms);
        let left = self.left - thousandths(count);
        if left < 0 {
            return Err(ms_until_back(-left, rate));
        }
        self.left = left;
        Ok(())
    }

    /// Takes some, whether it is there or not: what is missing is owed, and never more than
    /// comes back in so many seconds. After how many ms nothing is owed any more.
    #[must_use]
    pub fn owe(&mut self, count: u32, rate: Rate, seconds_max: u32, now_ms: u64) -> u64 {
        self.refill(rate, now_ms);
        let most = thousandths(rate.per_second).saturating_mul(i64::from(seconds_max));
        self.left = (self.left - thousandths(count)).max(-most);
        ms_until_back(-self.left, rate)
    }

    /// True if nothing is missing, so that the bucket need not be kept.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        self.left >= thousandths(rate.burst)
    }

    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let back = passed_ms.saturating_mul(u64::from(rate.per_second));
        let back = i64::try_from(back).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(back).min(thousandths(rate.burst));
        self.at_ms = self.at_ms.max(now_ms);
    }
}

fn thousandths(count: u32) -> i64 {
    i64::from(count) * 1_000
}

/// The time until so many thousandths are back, ms; nothing is missing below zero.
fn ms_until_back(missing: i64, rate: Rate) -> u64 {
    let missing = u64::try_from(missing).unwrap_or(0);
    missing.div_ceil(u64::from(rate.per_second.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn so_many_at_once_then_one_by_one_and_never_more_than_the_burst() {
        let mut bucket = Bucket::full(RATE, 1_000);
        for _ in 0..3 {
            assert_eq!(bucket.take(1, RATE, 1_000), Ok(()));
        }
        assert_eq!(bucket.take(1, RATE, 1_000), Err(100));
        assert_eq!(bucket.take(1, RATE, 1_099), Err(1));
        assert_eq!(bucket.take(1, RATE, 1_100), Ok(()));
        assert!(!bucket.is_full(RATE, 1_100));
        assert!(bucket.is_full(RATE, 9_000_000));
        assert_eq!(bucket.take(3, RATE, 9_000_000), Ok(()));
        assert_eq!(bucket.take(1, RATE, 9_000_000), Err(100));
    }

    #[test]
    fn what_is_owed_is_waited_for_in_full_and_has_an_end() {
        let mut bucket = Bucket::full(RATE, 0);
        assert_eq!(bucket.owe(3, RATE, 60, 0), 0);
        assert_eq!(bucket.owe(1, RATE, 60, 0), 100);
        assert_eq!(bucket.owe(2, RATE, 60, 50), 250, "each adds to it");
        assert_eq!(bucket.take(1, RATE, 299), Err(101));
        assert_eq!(bucket.take(1, RATE, 400), Ok(()));
        assert_eq!(bucket.owe(u32::MAX, RATE, 60, 400), 60_000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_and_takes_nothing() {
        let mut bucket = Bucket::full(RATE, 1_000);
        assert_eq!(bucket.take(3, RATE, 1_000), Ok(()));
        assert_eq!(bucket.take(1, RATE, 0), Err(100));
        assert_eq!(bucket.take(1, RATE, 1_100), Ok(()));
    }
}
