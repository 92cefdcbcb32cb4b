//! The clocks of a decision, and the settings that go with them.

use serde::Serialize;

/// The two clocks of a decision, and the settings that go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Now {
    /// Unix time in milliseconds.
    pub unix_ms: u64,
    /// Milliseconds this orchestrator has been connected, ever: what timeouts count (S7).
    /// The adapter persists it by [`crate::engine::input::Input::Uptime`].
    pub uptime_ms: u64,
    /// The times for which silence is borne.
    pub patience: LivenessTimeouts,
    /// The purpose of the server.
    pub mode: Mode,
    /// The times for which things are kept once they are over.
    pub keep: Keep,
}

/// The times for which things are kept once they are over: settings; none = for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Keep {
    /// A deployment that is over on every device, in ms.
    pub ended_deployments_ms: Option<u64>,
    /// A device that is away and not heard, in ms of both clocks.
    pub silent_devices_ms: Option<u64>,
}

/// The purpose of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Mode {
    /// To roll out what operators want.
    #[default]
    Serving,
    /// To learn from the fleet what its store does not know any more; nothing is begun.
    Recovering,
}

/// The times for which silence is borne before anything is concluded from it: settings, in
/// ms of connected uptime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LivenessTimeouts {
    /// Time for which a device may be out of contact, or take to answer, before it counts as lost
    /// (S6, S7).
    pub grace_ms: u64,
    /// Nothing is concluded from silence this soon after (re)connecting: devices that
    /// were cut off with us need time to report (S7).
    pub settle_ms: u64,
}

impl Default for LivenessTimeouts {
    fn default() -> Self {
        Self {
            grace_ms: 60_000,
            settle_ms: 30_000,
        }
    }
}
