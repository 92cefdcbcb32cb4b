//! The gate of a phase: whether the next one may open, from the counts of the devices that ended
//! since this one opened (S16). Pure arithmetic; a silent device is nobody's evidence.

use crate::model::rollout::Gate;
use crate::model::row::Counted;
use crate::model::state::GiveUp;

/// The time in which a gate is judged, in ms of connected uptime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the phase opened.
    pub opened_ms: u64,
    /// Since when the gate holds without a break.
    pub met_ms: Option<u64>,
    /// Now.
    pub now_ms: u64,
}

/// The judgment of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too few devices have ended, or too few of them well; nobody is waited for after this time.
    Waits {
        /// In ms of connected uptime.
        until_ms: u64,
    },
    /// It holds, and has to hold for a while.
    Soaks {
        /// Until when, in ms of connected uptime.
        until_ms: u64,
    },
    /// The next phase may open.
    Passed,
    /// It cannot be passed any more, whatever the other devices do.
    Failed,
    /// It was not passed in time, and the deployment is to be paused.
    GaveUp,
}

/// Devices that have to end before a gate is judged: of a phase that let in fewer, all of them.
#[must_use]
pub fn ended_needed(gate: &Gate, given: u32) -> u32 {
    let needed = match gate.min_ended {
        Some(needed) => needed,
        None => u32::try_from((u64::from(given) * 4).div_ceil(5)).unwrap_or(given),
    };
    needed.min(given).max(1)
}

/// Judges a gate.
#[must_use]
pub fn judge(gate: &Gate, counted: Counted, times: Times) -> Verdict {
    let Counted {
        given,
        successful,
        failed,
    } = counted;
    // Nobody was let in who could show anything.
    if given == 0 {
        return Verdict::Passed;
    }
    let most = given.max(successful.saturating_add(failed));
    let is_lost = !reaches(gate, most - failed, most);
    if is_lost || gate.max_failed.is_some_and(|most| failed > most) {
        return Verdict::Failed;
    }
    let ended = successful.saturating_add(failed);
    let holds = ended >= ended_needed(gate, given) && reaches(gate, successful, ended);
    let late_ms = after(times.opened_ms, gate.give_up_s);
    if holds {
        let until_ms = after(times.met_ms.unwrap_or(times.now_ms), gate.soak_s);
        return match until_ms <= times.now_ms {
            true => Verdict::Passed,
            false => Verdict::Soaks { until_ms },
        };
    }
    match (late_ms <= times.now_ms, gate.give_up) {
        (false, _) => Verdict::Waits { until_ms: late_ms },
        (true, GiveUp::Pause) => Verdict::GaveUp,
        (true, GiveUp::Continue) => Verdict::Passed,
    }
}

/// True if so many of so many are the share that the gate asks for.
fn reaches(gate: &Gate, successful: u32, of: u32) -> bool {
    u64::from(successful) * 100 >= u64::from(gate.success_percent) * u64::from(of)
}

fn after(from_ms: u64, seconds: u32) -> u64 {
    from_ms.saturating_add(u64::from(seconds).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Gate = Gate {
        success_percent: 90,
        min_ended: Some(10),
        max_failed: None,
        soak_s: 60,
        give_up_s: 1_000,
        give_up: GiveUp::Pause,
    };

    fn at(now_ms: u64) -> Times {
        Times {
            opened_ms: 0,
            met_ms: None,
            now_ms,
        }
    }

    fn counted(given: u32, successful: u32, failed: u32) -> Counted {
        Counted {
            given,
            successful,
            failed,
        }
    }

    #[test]
    fn a_gate_waits_for_enough_devices_then_soaks_and_is_passed() {
        let waits = Verdict::Waits {
            until_ms: 1_000_000,
        };
        assert_eq!(judge(&GATE, counted(20, 9, 0), at(5)), waits);
        assert_eq!(judge(&GATE, counted(20, 8, 2), at(5)), waits);
        let soaks = Verdict::Soaks { until_ms: 60_005 };
        assert_eq!(judge(&GATE, counted(20, 9, 1), at(5)), soaks);
        let times = Times {
            met_ms: Some(5),
            ..at(60_004)
        };
        assert_eq!(judge(&GATE, counted(20, 9, 1), times), soaks);
        let times = Times {
            now_ms: 60_005,
            ..times
        };
        assert_eq!(judge(&GATE, counted(20, 9, 1), times), Verdict::Passed);
    }

    #[test]
    fn a_gate_fails_as_soon_as_no_other_device_can_save_it() {
        assert_ne!(judge(&GATE, counted(20, 0, 2), at(5)), Verdict::Failed);
        assert_eq!(judge(&GATE, counted(20, 0, 3), at(5)), Verdict::Failed);
        let strict = Gate {
            max_failed: Some(1),
            ..GATE
        };
        assert_eq!(judge(&strict, counted(20, 17, 2), at(5)), Verdict::Failed);
    }

    #[test]
    fn a_phase_smaller_than_its_gate_asks_for_all_of_its_devices() {
        assert_eq!(ended_needed(&GATE, 4), 4);
        let usual = Gate {
            min_ended: None,
            ..GATE
        };
        assert_eq!(
            [1, 2, 10, 50].map(|given| ended_needed(&usual, given)),
            [1, 2, 8, 40]
        );
        assert_eq!(judge(&GATE, counted(0, 0, 0), at(5)), Verdict::Passed);
    }

    #[test]
    fn silence_pauses_or_is_passed_by_when_its_time_is_over() {
        assert_eq!(
            judge(&GATE, counted(20, 9, 0), at(1_000_000)),
            Verdict::GaveUp
        );
        let patient = Gate {
            give_up: GiveUp::Continue,
            ..GATE
        };
        assert_eq!(
            judge(&patient, counted(20, 9, 0), at(1_000_000)),
            Verdict::Passed
        );
        assert_eq!(
            judge(&patient, counted(20, 0, 3), at(1_000_000)),
            Verdict::Failed
        );
    }
}
