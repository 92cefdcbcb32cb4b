//! The manner in which an order is carried out: when artifacts may begin, what confirms a release,
//! and who is admitted by a permit.

use hoist_device_client::machine::ScriptRun;
use hoist_protocol::admission::Audience;
use hoist_protocol::spec::{Confirm, Policy, WEEK_MINUTES, Window};
use hoist_protocol::status::ScriptKind;

use super::package::Part;

const MINUTE_MS: u64 = 60_000;
const WEEK_MS: u64 = WEEK_MINUTES as u64 * MINUTE_MS;

/// One manner.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// When an artifact may begin.
    pub window: Option<Window>,
    /// True if it is fetched before the window opens.
    pub download_ahead: bool,
    /// Seconds after the window in which a later artifact may begin.
    pub max_overrun_s: u32,
    /// Seconds that each script takes longer.
    pub slow_s: u32,
    /// Seconds to come online, where a release is confirmed by that.
    pub online_s: u32,
    /// True if the device cannot connect while all of the release is installed.
    pub breaks_network: bool,
    /// The round up to which a permit admits the device, whom the line does not.
    pub permit: Option<u32>,
}

/// The session in which a release may be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Online {
    /// None has begun since a `verify` ended.
    Not,
    /// One has begun.
    Connected,
    /// The own spec came in it.
    Told,
}

impl Manner {
    /// The policy of an entry.
    pub fn policy(&self, attempts: u32) -> Policy {
        Policy {
            attempts,
            windows: self.window.into_iter().collect(),
            download_ahead: self.download_ahead,
            max_overrun_s: self.max_overrun_s,
            confirm: match self.online_s {
                0 => Confirm::Verify,
                within_s => Confirm::Online { within_s },
            },
            ..Policy::default()
        }
    }

    /// The audience of an entry.
    pub fn audience(&self) -> Audience {
        match self.permit {
            Some(_) => Audience::Below(0),
            None => Audience::EVERYONE,
        }
    }

    /// True if this run begins an artifact when none may begin.
    pub fn is_outside(&self, run: ScriptRun, part: &Part, now_ms: u64) -> bool {
        let first = match part.scripts.contains(&ScriptKind::PreInstall) {
            true => ScriptKind::PreInstall,
            false => ScriptKind::Install,
        };
        let Some(window) = self.window.filter(|_| run.kind == first) else {
            return false;
        };
        let begun = run.artifact > 0 || run.attempt > 1;
        let overrun_s = if begun { self.max_overrun_s } else { 0 };
        let open_ms = u64::from(window.minutes) * MINUTE_MS + u64::from(overrun_s) * 1_000;
        // The epoch was a Thursday; weeks begin on Monday.
        let of_week_ms = (now_ms + 3 * 24 * 60 * MINUTE_MS) % WEEK_MS;
        let start_ms = u64::from(window.start_minute) * MINUTE_MS;
        (of_week_ms + WEEK_MS - start_ms) % WEEK_MS >= open_ms
    }
}
