//! When the server is ready, and what it says while it waits for its broker.

use std::time::Duration;

use hoist_protocol::code::Code;

use super::Service;
use crate::health::Stops;
use crate::mqtt::ABOUT;

/// A message that is published comes back within a moment, and is published again after ten
/// seconds.
const ECHO: Duration = Duration::from_secs(15);

impl Service {
    /// Ready is who is heard, and whose specs the broker was seen to hold.
    pub(super) fn tell_ready(&self) {
        let runs = self.clock.runs();
        // All that was sent is looked through only as long as it matters.
        let quiet = runs && (*self.ready.borrow() || self.engine.is_quiet());
        let changed = self.ready.send_if_modified(|before| {
            // Once ready, only a lost connection makes it not ready: specs that change
            // are no reason to send anybody away.
            let now = runs && (quiet || *before);
            std::mem::replace(before, now) != now
        });
        let ready = *self.ready.borrow();
        if ready && changed {
            self.health.end(ABOUT);
        } else if !ready && runs && !quiet {
            self.miss_echo();
        }
    }

    /// A broker takes what it does not let the orchestrator write, and says nothing.
    fn miss_echo(&self) {
        if self.subscribed.is_some_and(|since| since.elapsed() >= ECHO) {
            let what = "the broker gives nothing back of what is published: its access list must \
                        let the orchestrator write and read every topic of the namespace";
            self.health.begin(ABOUT, Code::Access, what, Stops::Server);
        }
    }
}
