//! The sentences of what a rollout waits for: people, gates and its pace (S16).

use crate::model::rollout::{Most, Only};
use crate::model::row::{Counted, PauseReason, Paused};
use crate::model::time::format_time;
use crate::model::window::Windows;
use crate::query::explain::RolloutContext;
use crate::query::explain::said::Finding;
use crate::query::explain::say::ExplainContext;
use crate::reply::Why;
use crate::rules::rollout::gate::{Times, Verdict, awaited, expected, judge};
use crate::rules::rollout::window;

impl ExplainContext<'_> {
    /// The deployment is paused.
    pub(super) fn paused(&self, paused: Option<&Paused>) -> Finding {
        let id = self.case.id;
        let next = format!("starts when it goes on: hoist deployment resume {id}");
        let Some(paused) = paused else {
            return Finding::new(Why::Paused, format!("deployment {id} is paused"), next);
        };
        let by = paused.by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(" by {by}"));
        let text = match paused.text.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        let what = match paused.reason {
            PauseReason::Operator => "",
            PauseReason::Gate => ", because the gate of a phase cannot be passed",
            PauseReason::GaveUp => ", because a phase was silent for too long",
            PauseReason::Failures => ", because too many devices failed",
        };
        let at = format_time(paused.at_ms);
        let says = format!("deployment {id} was paused at {at}{by}{what}{text}");
        Finding::new(Why::Paused, says, next)
    }

    /// A later phase lets the device in.
    pub(super) fn phase(&self) -> Finding {
        let id = self.case.id;
        let Some(RolloutContext { state, counted }) = self.around.rollouts.get(&id) else {
            let says = "a later phase of the rollout lets it in";
            return Finding::new(Why::Phase, says, "starts when that phase opens");
        };
        let of = state.rollout.phases.len();
        let number = state.phase_is().number;
        let Some(phase) = state.current() else {
            return self.pace();
        };
        if !state.is_open {
            let there = state.approved.len();
            let says = format!(
                "phase {number} of {of} waits for approval: {there} of {} people have approved it",
                phase.approvals
            );
            let next = format!("may start when it is approved: hoist deployment approve {id}");
            return Finding::new(Why::Approval, says, next);
        }
        let Counted {
            successful, failed, ..
        } = *counted;
        let times = Times {
            opened_ms: state.opened_ms,
            met_ms: state.met_ms,
            now_ms: self.now.uptime_ms,
        };
        let gate = &phase.gate;
        let ended = successful.saturating_add(failed);
        let expected = expected(self.case.deployment, state);
        match judge(gate, expected, *counted, times) {
            Verdict::Soaks { until_ms } => {
                let until = self.unix_ms(until_ms);
                let says = format!(
                    "a phase after {number} of {of} lets it in, whose gate holds and is watched for \
                     {} s: {successful} of {ended} successful",
                    gate.soak_s
                );
                let next = format!("the next phase opens at {}", format_time(until));
                Finding::new(Why::Soak, says, next).at(until)
            }
            Verdict::Waits { until_ms } => {
                let until = self.unix_ms(until_ms);
                // Of a share that is still being let in nobody knows how many it is.
                let needed = awaited(gate, expected);
                let needed = needed.map_or_else(String::new, |needed| format!(" of {needed}"));
                let says = format!(
                    "a phase after {number} of {of} lets it in (gate: {ended}{needed} ended, \
                     {successful} of them successful, {} % needed)",
                    gate.success_percent
                );
                let next = format!(
                    "the next phase opens when the gate is passed; nobody is waited for after {}",
                    format_time(until)
                );
                Finding::new(Why::Gate, says, next)
            }
            Verdict::Passed | Verdict::Failed | Verdict::GaveUp => {
                let says = format!("a phase after {number} of {of} lets it in");
                Finding::new(Why::Phase, says, "is decided within a moment")
            }
        }
    }

    /// When the deployment's next window opens; none when one is open, or when it has none.
    pub(in crate::query::explain) fn opens_ms(&self) -> Option<u64> {
        let now_ms = self.now.unix_ms;
        let utc = &self.case.deployment.policy.windows;
        let local = self.windows().and_then(|it| window::opens_ms(it, now_ms));
        let opens_ms = local.unwrap_or_else(|| window::open_from_ms(utc, now_ms));
        (opens_ms > now_ms).then_some(opens_ms)
    }

    /// The windows in local time; none is left of them when they came back from a signed spec.
    fn windows(&self) -> Option<&Windows> {
        self.case.rollout?.rollout.windows.as_ref()
    }

    /// The next opening as people of that place read it.
    fn opens(&self, at_ms: u64) -> String {
        let place = self.windows().map_or("UTC", |it| it.time_zone.as_str());
        window::local_text(place, at_ms).unwrap_or_else(|| format_time(at_ms))
    }

    /// No window is open.
    pub(super) fn window(&self) -> Finding {
        let at_ms = self.opens_ms().unwrap_or(self.now.unix_ms);
        let opens = self.opens(at_ms);
        let says = format!("outside its window (opens {opens})");
        let next = format!("starts when its window opens, at {}", format_time(at_ms));
        Finding::new(Why::Window, says, next).at(at_ms)
    }

    /// Everything is fetched, and no window is open.
    pub(super) fn window_ahead(&self, since: &str) -> Finding {
        let at_ms = self.opens_ms().unwrap_or(self.now.unix_ms);
        let opens = self.opens(at_ms);
        let says =
            format!("it has everything since {since} and is outside its window (opens {opens})");
        let next = format!("installs when its window opens, at {}", format_time(at_ms));
        Finding::new(Why::Window, says, next).at(at_ms)
    }

    /// The pace lets nobody more in.
    pub(super) fn pace(&self) -> Finding {
        let slots = self.case.deployment.slots;
        let id = self.case.id;
        let rollout = self.around.rollouts.get(&id).map(|it| &it.state.rollout);
        let bounds = rollout.map(|it| (it.max_in_progress, it.starts_per_minute));
        let pace = match bounds {
            Some((Some(most), Some(minute))) => {
                format!("{most} at work at most, {minute} more each minute")
            }
            Some((Some(most), None)) => format!("{most} at work at most"),
            Some((None, Some(minute))) => format!("{minute} more each minute"),
            _ => "no more now".to_owned(),
        };
        let says = format!("{slots} devices were let in so far, and the pace is {pace}");
        Finding::new(
            Why::Pace,
            says,
            "starts when its turn comes; nothing is to be done",
        )
    }

    /// It is for devices with other labels.
    pub(super) fn not_selected(&self) -> Finding {
        let id = self.case.id;
        let selector = match self
            .around
            .rollouts
            .get(&id)
            .map(|it| &it.state.rollout.only)
        {
            Some(Only::Selected(selector)) => format!(" {selector}"),
            _ => String::new(),
        };
        let says = format!("its labels do not fit the selector{selector} of deployment {id}");
        Finding::new(Why::Selector, says, "starts when its labels fit")
    }

    /// It is for devices that were named.
    pub(super) fn not_named(&self) -> Finding {
        let id = self.case.id;
        let says = format!("it is not among the devices that deployment {id} is for");
        Finding::new(Why::NotListedDevice, says, "never: deploy to it as well")
    }

    /// Its place has no room.
    pub(super) fn budget(&self, label: &str, value: Option<&str>) -> Finding {
        let id = self.case.id;
        let budget = self.around.rollouts.get(&id);
        let most = budget.and_then(|it| it.state.rollout.budget.as_ref());
        let most = match most.map(|budget| budget.most) {
            Some(Most::Devices(1)) => "one device".to_owned(),
            Some(Most::Devices(devices)) => format!("{devices} devices"),
            Some(Most::Percent(percent)) => format!("{percent} % of the devices"),
            None => "no more devices".to_owned(),
        };
        let place = match value {
            Some(value) => format!("of {label}={value}"),
            None => format!("without the label {label}"),
        };
        let says = format!("{most} {place} may be at work or out of contact at once, and they are");
        Finding::new(
            Why::Budget,
            says,
            "starts when another one has ended or is back",
        )
    }
}
