//! The two clocks.

use std::time::Instant;

use hoist_orchestrator_core::model::now::{Keep, LivenessTimeouts, Mode, Now};

use crate::config::OrchestratorConfig;
use crate::unix_time::{millis, unix_ms};

/// A system clock that goes further astray at once has been set: people should know.
const JUMP_MS: u64 = 60_000;

/// Time during which the orchestrator was connected, ever (S7): it stands still while
/// devices cannot be heard.
#[derive(Debug)]
pub(crate) struct UptimeClock {
    before_ms: u64,
    since: Option<Instant>,
    patience: LivenessTimeouts,
    mode: Mode,
    keep: Keep,
    /// Unix time and the time since the start when both were read last.
    read: Option<(u64, Instant)>,
}

impl UptimeClock {
    /// A clock that goes on from what was stored.
    pub(crate) fn new(before_ms: u64, config: &OrchestratorConfig) -> Self {
        Self {
            before_ms,
            since: None,
            patience: LivenessTimeouts {
                grace_ms: millis(config.grace),
                settle_ms: millis(config.settle),
            },
            mode: config.mode,
            keep: config.keep,
            read: None,
        }
    }

    pub(crate) fn start(&mut self) {
        self.stop();
        self.since = Some(Instant::now());
    }

    pub(crate) fn stop(&mut self) {
        self.before_ms = self.ms();
        self.since = None;
    }

    pub(crate) fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// The jump of the system's clock since this was asked last, in ms, when it is more than
    /// [`JUMP_MS`] (bad-inputs row 41).
    pub(crate) fn jumped(&mut self) -> Option<u64> {
        let (unix_ms, at) = (unix_ms(), Instant::now());
        let (before_ms, before) = self.read.replace((unix_ms, at))?;
        let expected_ms = before_ms.saturating_add(millis(at.duration_since(before)));
        let jump_ms = unix_ms.abs_diff(expected_ms);
        (jump_ms > JUMP_MS).then_some(jump_ms)
    }

    /// The time now, on both clocks.
    pub(crate) fn now(&self) -> Now {
        Now {
            unix_ms: unix_ms(),
            uptime_ms: self.ms(),
            patience: self.patience,
            mode: self.mode,
            keep: self.keep,
        }
    }

    fn ms(&self) -> u64 {
        let elapsed_ms = self.since.map_or(0, |since| millis(since.elapsed()));
        self.before_ms.saturating_add(elapsed_ms)
    }
}
