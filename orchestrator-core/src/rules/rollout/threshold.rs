//! The threshold of failures: whether too many devices failed since the rollout began, or since a
//! person let it go on (S16). What the server infers may pause a rollout and never abort it (S7).

use hoist_protocol::reason::Reason;

use crate::model::counter::Totals;
use crate::model::rollout::{FailureThreshold, TooMany};
use crate::model::row::{Counted, Ended};
use crate::model::state::Then;

/// The devices that count for a threshold: those that ended, by how.
#[must_use]
pub fn counted(threshold: &FailureThreshold, totals: &Totals) -> Ended {
    let inferred = match threshold.then {
        Then::Pause => totals.provisional,
        Then::Abort | Then::Fallback => 0,
    };
    let of = |reason: Reason| {
        let all = totals.failed.get(&(reason as u8)).copied().unwrap_or(0);
        match reason {
            Reason::TimedOut => all.saturating_sub(totals.provisional) + inferred,
            _ => all,
        }
    };
    let failed = match threshold.reasons.as_slice() {
        [] => totals.ended().failed + inferred,
        reasons => reasons.iter().map(|reason| of(*reason)).sum(),
    };
    Ended {
        successful: totals.successful,
        failed,
    }
}

/// The numbers that are too many, or `None` when they are not.
#[must_use]
pub fn reached(threshold: &FailureThreshold, totals: &Totals, since: Ended) -> Option<Counted> {
    let now = counted(threshold, totals).since(since);
    let ended = now.all();
    let is_reached = match threshold.at {
        TooMany::Devices(devices) => now.failed >= devices,
        TooMany::Percent(percent) => {
            u64::from(now.failed) * 100 >= u64::from(percent) * u64::from(ended)
        }
    };
    let decides = is_reached && now.failed > 0 && ended >= threshold.min_ended;
    decides.then_some(Counted {
        given: ended,
        successful: now.successful,
        failed: now.failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(successful: u32, scripts: u32, inferred: u32) -> Totals {
        Totals {
            successful,
            failed: [
                (Reason::ScriptFailed as u8, scripts),
                (Reason::TimedOut as u8, inferred),
                (Reason::Incompatible as u8, 50),
            ]
            .into(),
            provisional: inferred,
            ..Totals::default()
        }
    }

    fn threshold(then: Then) -> FailureThreshold {
        FailureThreshold {
            at: TooMany::Percent(10),
            min_ended: 10,
            reasons: Vec::new(),
            then,
        }
    }

    fn numbers(threshold: &FailureThreshold, totals: &Totals) -> Option<(u32, u32)> {
        let counted = reached(threshold, totals, Ended::default())?;
        Some((counted.successful, counted.failed))
    }

    #[test]
    fn a_share_counts_only_once_enough_have_ended() {
        let abort = threshold(Then::Abort);
        assert_eq!(numbers(&abort, &totals(8, 1, 0)), None);
        assert_eq!(numbers(&abort, &totals(9, 1, 0)), Some((9, 1)));
        assert_eq!(numbers(&abort, &totals(10, 1, 0)), None);
    }

    #[test]
    fn inferred_failures_pause_and_never_abort() {
        let silent = totals(9, 0, 5);
        assert_eq!(numbers(&threshold(Then::Abort), &silent), None);
        assert_eq!(numbers(&threshold(Then::Pause), &silent), Some((9, 5)));
    }

    #[test]
    fn only_the_reasons_that_were_asked_for_count() {
        let named = FailureThreshold {
            at: TooMany::Devices(2),
            min_ended: 1,
            reasons: vec![Reason::NoSpace],
            then: Then::Abort,
        };
        assert_eq!(numbers(&named, &totals(9, 5, 0)), None);
        let scripts = FailureThreshold {
            reasons: vec![Reason::ScriptFailed],
            ..named
        };
        assert_eq!(numbers(&scripts, &totals(9, 5, 0)), Some((9, 5)));
    }

    #[test]
    fn what_was_there_when_a_person_let_it_go_on_counts_no_more() {
        let abort = threshold(Then::Abort);
        let before = counted(&abort, &totals(9, 3, 0));
        assert_eq!(reached(&abort, &totals(9, 3, 0), before), None);
        assert!(reached(&abort, &totals(17, 5, 0), before).is_some());
    }
}
