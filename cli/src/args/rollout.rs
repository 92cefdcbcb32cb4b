//! How a deployment spreads, as it is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hoist_orchestrator_core::api::command::rollout::{
    Budget, Confirm, OpenWindow, Order, Percent as Hundredths, Phase,
};
use hoist_orchestrator_core::model::state::Then;

use crate::rate::{Percent, count, parse_duration, within};

#[derive(Debug, Clone, Args)]
pub(crate) struct Rollout {
    /// Let the group in by slices, each larger than the one before: shares or numbers of devices,
    /// as in 1%,10%,50%,100%
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_phase)]
    pub(crate) phases: Vec<Phase>,
    /// Open the next phase when this share of the devices that ended is successful [default: 95%]
    #[arg(long, value_name = "PERCENT", requires = "phases", value_parser = parse_share)]
    pub(crate) gate: Option<u8>,
    /// Let that hold for this long first [default: 0s]
    #[arg(long, value_name = "TIME", requires = "phases", value_parser = within("0s", "100y", "10m"))]
    pub(crate) soak: Option<Duration>,
    /// People who have to approve each phase after the first
    #[arg(long, value_name = "N", requires = "phases", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) approvals: Option<u8>,
    /// Let at most this many devices be at work at once
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, u32::MAX, 200))]
    pub(crate) max_in_progress: Option<u32>,
    /// Let at most this many devices start each minute
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, u32::MAX, 1_000))]
    pub(crate) per_minute: Option<u32>,
    /// Let at most so many devices of each value of a label be at work or out of contact at once
    #[arg(long, value_name = "LABEL=N|PERCENT", value_parser = parse_budget)]
    pub(crate) budget: Option<Budget>,
    /// Stop when so many have failed: a share of those that ended, at least 20, or a number
    #[arg(long, value_name = "N|PERCENT", value_parser = parse_failures)]
    pub(crate) max_failures: Option<Failures>,
    /// Pause then, abort, or fall back
    #[arg(
        long,
        value_name = "WHAT",
        requires = "max_failures",
        default_value = "pause"
    )]
    pub(crate) on_failures: ThenArg,
    /// The release for those who had started, with --on-failures fallback
    #[arg(long, value_name = "RELEASE", requires = "max_failures")]
    pub(crate) fallback: Option<String>,
    /// In which order devices come: the same one each time, or another [default: shuffled]
    #[arg(long, value_name = "ORDER")]
    pub(crate) order: Option<OrderArg>,
    /// Begin to install only then, each week: days, time, length and place, as in
    /// 'mon-fri 02:00 120m Europe/Berlin'; several may be said
    #[arg(long, value_name = "WINDOW", value_parser = parse_window)]
    pub(crate) window: Vec<Window>,
    /// Fetch before a window opens, so that only installing waits for it
    #[arg(long, requires = "window")]
    pub(crate) download_ahead: bool,
    /// Begin later artifacts of a release also so long after the end of the window [default: 0s]
    #[arg(long, value_name = "TIME", requires = "window", value_parser = parse_duration)]
    pub(crate) max_overrun: Option<Duration>,
    /// Take a release for good by its verify scripts, or only once the device is online with it
    /// [default: verify]
    #[arg(long, value_name = "EVIDENCE")]
    pub(crate) confirm: Option<ConfirmArg>,
    /// Let a device have this long for it before it puts back what was there [default: 10m]
    #[arg(long, value_name = "TIME", requires = "confirm", value_parser = parse_duration)]
    pub(crate) confirm_within: Option<Duration>,
    /// Take all this from a policy, NAME or NAME@VERSION, or from a file, TOML or JSON, as
    /// `rollout` of docs/api.md has it
    #[arg(
        long,
        value_name = "NAME|FILE",
        conflicts_with_all = ["phases", "max_in_progress", "per_minute", "max_failures", "order", "budget", "window", "confirm"]
    )]
    pub(crate) policy: Option<PathBuf>,
    /// Begin also outside the windows of the policy
    #[arg(long, requires = "policy")]
    pub(crate) ignore_windows: bool,
}

/// The failures that are too many: a share in percent, or a number of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failures {
    Percent(u8),
    Devices(u32),
}

/// `hoist policy …`
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Put a policy; one that is there already gets another version
    Put {
        /// Its name: 1-64 of A-Z a-z 0-9 _ -
        name: String,
        /// TOML or JSON, as `rollout` of docs/api.md has it
        file: PathBuf,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List policies, each with its newest version
    List,
    /// Show a policy as the TOML that `put` takes
    Show {
        /// Its name, or NAME@VERSION
        policy: String,
    },
}

/// A window and the place whose clocks it goes by, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) open: OpenWindow,
    pub(crate) time_zone: String,
}

/// The consequence of too many failures, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThenArg {
    /// Nobody starts until somebody lets it go on
    Pause,
    /// Who has not started never starts
    Abort,
    /// The same, and who has started gets the release of --fallback
    Fallback,
}

impl From<ThenArg> for Then {
    fn from(then: ThenArg) -> Self {
        match then {
            ThenArg::Pause => Self::Pause,
            ThenArg::Abort => Self::Abort,
            ThenArg::Fallback => Self::Fallback,
        }
    }
}

/// The order of devices, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// Another one for each deployment
    Shuffled,
    /// The same one for all, so that the same devices are first
    Stable,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::Shuffled => Self::Shuffled,
            OrderArg::Stable => Self::Stable,
        }
    }
}

/// The evidence that a release works, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfirmArg {
    /// Its verify scripts
    Verify,
    /// These, and a connection with it
    Online,
}

impl From<ConfirmArg> for Confirm {
    fn from(confirm: ConfirmArg) -> Self {
        match confirm {
            ConfirmArg::Verify => Self::Verify,
            ConfirmArg::Online => Self::Online,
        }
    }
}

/// Reads a phase: a share, as `10%`, or a number of devices.
fn parse_phase(text: &str) -> Result<Phase, String> {
    let phase = Phase::default();
    if text.ends_with('%') {
        let percent: Percent = text.parse()?;
        let percent = Some(Hundredths(percent.basis_points()));
        return Ok(Phase { percent, ..phase });
    }
    match text.parse() {
        Ok(devices) => Ok(Phase {
            devices: Some(devices),
            ..phase
        }),
        Err(_) => Err("a phase is a share, such as 10%, or a number of devices".to_owned()),
    }
}

/// Reads a window: its days, time, length and place.
fn parse_window(text: &str) -> Result<Window, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [days, from, length, time_zone] = parts[..] else {
        return Err("write days, time, length and place: mon-fri 02:00 120m Europe/Berlin".into());
    };
    let seconds = parse_duration(length)?.as_secs();
    let minutes = (seconds % 60 == 0).then_some(seconds / 60);
    let minutes = minutes.and_then(|minutes| u32::try_from(minutes).ok());
    Ok(Window {
        open: OpenWindow {
            days: days.to_owned(),
            from: from.to_owned(),
            minutes: minutes.ok_or_else(|| format!("{length} is no number of whole minutes"))?,
        },
        time_zone: time_zone.to_owned(),
    })
}

/// Reads a whole number of percent.
fn parse_share(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| format!("{text:?} is no whole percentage from 0% to 100%"))
}

/// Reads a budget: `site=1`, or `site=10%`.
fn parse_budget(text: &str) -> Result<Budget, String> {
    let wrong = || "a label and a number or a share are wanted, as site=1 or site=10%".to_owned();
    let (label, most) = text.split_once('=').ok_or_else(wrong)?;
    let (max_in_progress, percent) = match most.ends_with('%') {
        true => (None, Some(parse_share(most)?)),
        false => (Some(most.parse().map_err(|_| wrong())?), None),
    };
    Ok(Budget {
        label: label.to_owned(),
        max_in_progress,
        percent,
    })
}

fn parse_failures(text: &str) -> Result<Failures, String> {
    if text.ends_with('%') {
        return parse_share(text).map(Failures::Percent);
    }
    let devices = text.parse().map(Failures::Devices);
    devices.map_err(|_| "a share, such as 5%, or a number of devices is wanted".to_owned())
}
