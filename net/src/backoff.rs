//! The pauses between attempts to reach somebody.

use std::time::Duration;

/// A pause that doubles with every attempt in vain, up to a last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    pause: Duration,
}

impl Backoff {
    /// Begins with the first pause.
    #[must_use]
    pub const fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            pause: first,
        }
    }

    /// The pause before the next attempt, or the upper bound of a random one.
    #[must_use]
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// Doubles the pause, after an attempt in vain.
    pub fn lengthen(&mut self) {
        self.pause = self.pause.saturating_mul(2).min(self.last);
    }

    /// Makes the pause the longest one at once, since soon would be in vain again.
    pub const fn exhaust(&mut self) {
        self.pause = self.last;
    }

    /// Begins again with the first pause, after a success.
    pub const fn reset(&mut self) {
        self.pause = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_last_and_begins_again_after_a_success() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::new(secs(1), secs(5));
        let mut pauses = Vec::new();
        for _ in 0..4 {
            pauses.push(backoff.pause());
            backoff.lengthen();
        }
        assert_eq!(pauses, [1, 2, 4, 5].map(secs));
        backoff.reset();
        assert_eq!(backoff.pause(), secs(1));
        backoff.exhaust();
        assert_eq!(backoff.pause(), secs(5));
    }
}
