//! When this device must not obey what it is told because nobody it trusts has signed it:
//! a person has to act, so it is said again and again, less and less often, and the server
//! hears of it in DeviceInfo.

use std::time::Duration;

use hoist_protocol::device::Trouble;
use tokio::time::Instant;

/// First pause before it is said again; doubled up to the last.
const AGAIN_FIRST: Duration = Duration::from_secs(60);
/// Longest pause: whoever looks at a day's log finds it.
const AGAIN_LAST: Duration = Duration::from_secs(3_600);

/// Something that is not trusted, and when that is said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distrust {
    pub(super) trouble: Trouble,
    pub(super) again_at: Instant,
    pause: Duration,
}

impl Distrust {
    /// Said now for the first time.
    pub(super) fn new(trouble: Trouble, now: Instant) -> Self {
        Self {
            trouble,
            again_at: now + AGAIN_FIRST,
            pause: AGAIN_FIRST,
        }
    }

    /// Said now again.
    pub(super) fn again(self, now: Instant) -> Self {
        let pause = (self.pause * 2).min(AGAIN_LAST);
        Self {
            again_at: now + pause,
            pause,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_again_less_and_less_often_but_at_least_once_an_hour() {
        let now = Instant::now();
        let mut distrust = Distrust::new(Trouble::RootNotTrusted, now);
        let mut pauses = vec![(distrust.again_at - now).as_secs()];
        for _ in 0..8 {
            distrust = distrust.again(now);
            pauses.push((distrust.again_at - now).as_secs());
        }
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    }
}
