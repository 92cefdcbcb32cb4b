//! How a wish for a deployment spreads.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hoist_orchestrator_core::api::command::rollout::{Failure, Gate, Phase, Rollout, Windows};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure as Failed;

use crate::args;
use crate::args::Failures;

/// The policy that a command line names, or else the rollout that it asks for; none where everybody
/// is to start at once.
pub(super) fn rollout(wish: &args::Rollout) -> Result<(Option<String>, Option<Rollout>), Failed> {
    if let Some(policy) = &wish.policy {
        return match name(policy) {
            Some(name) => Ok((Some(name.to_owned()), None)),
            None => Ok((None, Some(read(policy)?))),
        };
    }
    let failure = wish.max_failures.map(|most| {
        let (percent, devices) = match most {
            Failures::Percent(percent) => (Some(percent), None),
            Failures::Devices(devices) => (None, Some(devices)),
        };
        Failure {
            percent,
            devices,
            min_ended: None,
            reasons: Vec::new(),
            then: wish.on_failures.into(),
            fallback: wish.fallback.clone(),
        }
    });
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let rollout = Rollout {
        phases: phases(wish),
        order: wish.order.map(Into::into),
        max_in_progress: wish.max_in_progress,
        starts_per_minute: wish.per_minute,
        growth: None,
        failure,
        budget: wish.budget.clone(),
        windows: windows(wish)?,
        confirm: wish.confirm.map(Into::into),
        confirm_secs: wish.confirm_within.map(seconds),
    };
    Ok((None, (rollout != Rollout::default()).then_some(rollout)))
}

/// The windows, all by the clocks of one place.
fn windows(wish: &args::Rollout) -> Result<Option<Windows>, Failed> {
    let Some(first) = wish.window.first() else {
        return Ok(None);
    };
    let other = wish
        .window
        .iter()
        .find(|it| it.time_zone != first.time_zone);
    if let Some(other) = other {
        let what = format!("windows of {} and of {}", first.time_zone, other.time_zone);
        return Err(Failed::new(Code::Window, what)
            .help("say all windows of a deployment in the time of one place"));
    }
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    Ok(Some(Windows {
        time_zone: first.time_zone.clone(),
        open: wish.window.iter().map(|it| it.open.clone()).collect(),
        download_ahead: wish.download_ahead,
        max_overrun_secs: wish.max_overrun.map(seconds),
    }))
}

/// The phases, each with the gate that was asked for.
fn phases(wish: &args::Rollout) -> Vec<Phase> {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let soak_secs = wish.soak.map(seconds);
    let gate = Gate {
        success_percent: wish.gate,
        soak_secs,
        // Patience lasts at least as long as the soak, and a day more.
        give_up_secs: soak_secs
            .filter(|soak| *soak > 0)
            .map(|soak| soak.saturating_add(86_400)),
        ..Gate::default()
    };
    let gate = (gate != Gate::default()).then_some(gate);
    let numbered = wish.phases.iter().cloned().enumerate();
    let phases = numbered.map(|(index, phase)| Phase {
        gate: gate.clone(),
        approvals: match (index, wish.approvals) {
            (1.., Some(approvals)) => approvals,
            _ => 0,
        },
        ..phase
    });
    phases.collect()
}

/// A policy's name, where no file is meant: one has a folder or an ending, or is there.
fn name(policy: &Path) -> Option<&str> {
    let name = policy.to_str()?;
    let is_file = name.contains(['/', '.']) || policy.exists();
    (!is_file).then_some(name)
}

/// Reads a policy: TOML, or JSON where the file's name says so.
pub(crate) fn read(file: &Path) -> Result<Rollout, Failed> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        Failed::because(Code::Config, format!("cannot read {shown}"), &error)
            .help("name a file that is there and can be read")
    })?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let parsed = match is_json {
        true => serde_json::from_str(&text).map_err(|error| error.to_string()),
        false => toml::from_str(&text).map_err(|error| error.to_string()),
    };
    parsed.map_err(|error| {
        let what = format!("{shown} is no policy: {}", error.trim_end());
        Failed::new(Code::Config, what)
            .help("see `rollout` in docs/api.md, and examples/policies for whole ones")
    })
}
