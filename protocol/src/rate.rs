//! How often somebody may do something: so many at once, and so many a second from then on.
//! Time is an argument.

/// So many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What comes back each second.
    pub per_second: u32,
    /// What may be taken at once.
    pub burst: u32,
}

/// What somebody has left of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// In thousandths.
    left: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        let left = u64::from(rate.burst) * 1_000;
        Self {
            left,
            at_ms: now_ms,
        }
    }

    /// Takes some. More than the whole burst is never there to take.
    ///
    /// # Errors
    /// After how many ms as much will be there; nothing was taken.
    pub fn take(&mut self, count: u32, rate: Rate, now_ms: u64) -> Result<(), u64> {
        self.refill(rate, now_ms);
        let wanted = u64::from(count) * 1_000;
        match self.left.checked_sub(wanted) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err((wanted - self.left).div_ceil(u64::from(rate.per_second.max(1)))),
        }
    }

    /// Whether nothing is missing, so that it need not be kept.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        self.left >= u64::from(rate.burst) * 1_000
    }

    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let back = passed_ms.saturating_mul(u64::from(rate.per_second));
        let most = u64::from(rate.burst) * 1_000;
        self.left = self.left.saturating_add(back).min(most);
        self.at_ms = self.at_ms.max(now_ms);
    }
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
    fn a_clock_that_goes_back_gives_nothing_and_takes_nothing() {
        let mut bucket = Bucket::full(RATE, 1_000);
        assert_eq!(bucket.take(3, RATE, 1_000), Ok(()));
        assert_eq!(bucket.take(1, RATE, 0), Err(100));
        assert_eq!(bucket.take(1, RATE, 1_100), Ok(()));
    }
}
