//! The gate of a phase: whether the next one may open, from the counts of the devices that ended
//! since this one opened (S16). Pure arithmetic; a silent device is nobody's evidence.

use crate::model::rollout::{Gate, Part};
use crate::model::row::{Counted, DeploymentRow, RolloutRow};
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

/// Devices that a phase lets in, those of earlier phases aside, once it is as large as it gets: a pace
/// lets them in by and by. At most so many where it is a number of devices; not known before the
/// last one has its slot where it is a share.
#[must_use]
pub fn expected(row: &DeploymentRow, state: &RolloutRow) -> Option<u32> {
    let limit_is_full = row.limit.is_some_and(|limit| row.slots >= limit);
    // Who may get a permit is known only to who looks for them.
    let is_filled = match state.choice(0) {
        Some(_) => !state.searched.left,
        None => row.line >= state.reaches(),
    } || limit_is_full;
    let of_phase = |slots: u32| slots.saturating_sub(state.slots_before);
    match &state.current()?.part {
        Part::Devices(devices) if row.slots < *devices && !is_filled => Some(of_phase(*devices)),
        Part::Percent(_) | Part::Selected(_) if !is_filled => None,
        _ => Some(of_phase(row.slots)),
    }
}

/// Devices that have to end before the gate of a phase is judged that lets in so many
/// ([`expected`]); none while that cannot be said.
#[must_use]
pub fn awaited(gate: &Gate, expected: Option<u32>) -> Option<u32> {
    expected.map_or(gate.min_ended, |devices| Some(ended_needed(gate, devices)))
}

/// Judges a gate of a phase that lets in so many ([`expected`]).
#[must_use]
pub fn judge(gate: &Gate, expected: Option<u32>, counted: Counted, times: Times) -> Verdict {
    let Counted {
        given,
        successful,
        failed,
    } = counted;
    // Nobody was let in who could show anything.
    if given == 0 && expected == Some(0) {
        return Verdict::Passed;
    }
    let ended = successful.saturating_add(failed);
    let most = given.max(expected.unwrap_or(0)).max(ended);
    let is_lost = !reaches(gate, most - failed, most);
    if is_lost || gate.max_failed.is_some_and(|most| failed > most) {
        return Verdict::Failed;
    }
    let is_enough = awaited(gate, expected).is_some_and(|awaited| ended >= awaited);
    let holds = is_enough && reaches(gate, successful, ended);
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
        assert_eq!(judge(&GATE, Some(20), counted(20, 9, 0), at(5)), waits);
        assert_eq!(judge(&GATE, Some(20), counted(20, 8, 2), at(5)), waits);
        let soaks = Verdict::Soaks { until_ms: 60_005 };
        assert_eq!(judge(&GATE, Some(20), counted(20, 9, 1), at(5)), soaks);
        let times = Times {
            met_ms: Some(5),
            ..at(60_004)
        };
        assert_eq!(judge(&GATE, Some(20), counted(20, 9, 1), times), soaks);
        let times = Times {
            now_ms: 60_005,
            ..times
        };
        assert_eq!(
            judge(&GATE, Some(20), counted(20, 9, 1), times),
            Verdict::Passed
        );
    }

    #[test]
    fn a_gate_fails_as_soon_as_no_other_device_can_save_it() {
        assert_ne!(
            judge(&GATE, Some(20), counted(20, 0, 2), at(5)),
            Verdict::Failed
        );
        assert_eq!(
            judge(&GATE, Some(20), counted(20, 0, 3), at(5)),
            Verdict::Failed
        );
        let strict = Gate {
            max_failed: Some(1),
            ..GATE
        };
        assert_eq!(
            judge(&strict, Some(20), counted(20, 17, 2), at(5)),
            Verdict::Failed
        );
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
        assert_eq!(
            judge(&GATE, Some(0), counted(0, 0, 0), at(5)),
            Verdict::Passed
        );
    }

    #[test]
    fn a_phase_that_a_pace_still_fills_is_not_judged_by_its_first_devices() {
        let usual = Gate {
            min_ended: None,
            ..GATE
        };
        let waits = Verdict::Waits {
            until_ms: 1_000_000,
        };
        for expected in [Some(10), None] {
            assert_eq!(judge(&usual, expected, counted(3, 3, 0), at(5)), waits);
        }
        assert_eq!(judge(&GATE, None, counted(0, 0, 0), at(5)), waits);
        // Ten are enough, however many are still to come.
        let soaks = Verdict::Soaks { until_ms: 60_005 };
        assert_eq!(judge(&GATE, None, counted(10, 10, 0), at(5)), soaks);
        assert_eq!(awaited(&usual, Some(10)), Some(8));
        assert_eq!(awaited(&usual, None), None);
    }

    #[test]
    fn silence_pauses_or_is_passed_by_when_its_time_is_over() {
        assert_eq!(
            judge(&GATE, Some(20), counted(20, 9, 0), at(1_000_000)),
            Verdict::GaveUp
        );
        let patient = Gate {
            give_up: GiveUp::Continue,
            ..GATE
        };
        assert_eq!(
            judge(&patient, Some(20), counted(20, 9, 0), at(1_000_000)),
            Verdict::Passed
        );
        assert_eq!(
            judge(&patient, Some(20), counted(20, 0, 3), at(1_000_000)),
            Verdict::Failed
        );
    }
}
