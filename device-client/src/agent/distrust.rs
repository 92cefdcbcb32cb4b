//! When this device must not obey what it is told because nobody it trusts has signed it:
//! a person has to act, so it is said again and again, less and less often, and the server
//! hears of it in DeviceInfo.

use std::time::Duration;

use hoist_protocol::code::Code;
use hoist_protocol::device::Trouble;
use tokio::time::Instant;

use super::runner::Agent;
use crate::machine::InfoExtent;

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
    fn new(trouble: Trouble, now: Instant) -> Self {
        Self {
            trouble,
            again_at: now + AGAIN_FIRST,
            pause: AGAIN_FIRST,
        }
    }

    /// Said now again.
    fn again(self, now: Instant) -> Self {
        let pause = (self.pause * 2).min(AGAIN_LAST);
        Self {
            again_at: now + pause,
            pause,
            ..self
        }
    }
}

impl Agent {
    /// Something arrived that must not be obeyed. The same trouble, which comes again with
    /// every connection, is only said when it is time.
    pub(super) fn distrusts(&mut self, trouble: Trouble) {
        let known = self.distrust.is_some_and(|known| known.trouble == trouble);
        if !known {
            self.distrust = Some(Distrust::new(trouble, Instant::now()));
            self.say_distrust();
        }
        self.publish_info(InfoExtent::IfChanged);
    }

    /// What was not trusted is trusted now.
    pub(super) fn trusts(&mut self, trouble: Trouble) {
        if self
            .distrust
            .take_if(|was| was.trouble == trouble)
            .is_some()
        {
            tracing::info!("what this server signs is trusted now");
            self.publish_info(InfoExtent::IfChanged);
        }
    }

    /// It is time to say it again.
    pub(super) fn distrusts_still(&mut self) {
        self.distrust = self.distrust.map(|was| was.again(Instant::now()));
        self.say_distrust();
    }

    fn say_distrust(&self) {
        match self.distrust.map(|distrust| distrust.trouble) {
            Some(Trouble::RootNotTrusted) => tracing::error!(
                code = Code::Root.as_str(),
                "nothing of this server is obeyed: its root document is not the one that \
                 root_sha256 in the configuration names; for this server, get a new agent.toml \
                 with `hoist device add`"
            ),
            Some(Trouble::SignerNotTrusted) => tracing::error!(
                code = Code::Signature.as_str(),
                "nothing of this server is obeyed: what it says is not signed by a key of the \
                 root document that root_sha256 in the configuration names"
            ),
            Some(Trouble::KeyNotAccepted | Trouble::CannotExecute) | None => {}
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
