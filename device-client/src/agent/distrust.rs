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
/// Time in which root documents come that may name an unknown key: they are retained, one behind the
/// other, and what newer keys have signed may arrive between them.
const CHAIN: Duration = Duration::from_secs(5);

/// Something that is not trusted, and when that is said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distrust {
    pub(super) trouble: Trouble,
    pub(super) again_at: Instant,
    pause: Duration,
    /// False while it may be over before it is worth a word.
    pub(super) is_said: bool,
}

impl Distrust {
    /// Said now for the first time.
    pub(super) fn new(trouble: Trouble, now: Instant) -> Self {
        Self {
            trouble,
            again_at: now + AGAIN_FIRST,
            pause: AGAIN_FIRST,
            is_said: true,
        }
    }

    /// Said soon, unless a root document names the key until then.
    pub(super) fn unless_named(trouble: Trouble, now: Instant) -> Self {
        Self {
            trouble,
            again_at: now + CHAIN,
            pause: Duration::ZERO,
            is_said: false,
        }
    }

    /// Said now, for the first time or again.
    pub(super) fn again(self, now: Instant) -> Self {
        let pause = (self.pause * 2).clamp(AGAIN_FIRST, AGAIN_LAST);
        Self {
            again_at: now + pause,
            pause,
            is_said: true,
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

    #[test]
    fn an_unknown_key_is_said_once_root_documents_had_their_time_and_then_as_everything_else() {
        let now = Instant::now();
        let waits = Distrust::unless_named(Trouble::SignerNotTrusted, now);
        assert_eq!((waits.again_at, waits.is_said), (now + CHAIN, false));
        let said = waits.again(now);
        assert_eq!(said, Distrust::new(Trouble::SignerNotTrusted, now));
    }
}
