//! `hoist deploy`, `plan`, `status` and `deployment …`

use clap::{Args, Subcommand, ValueEnum};
use hoist_orchestrator_core::model::state::CompleteWhen;

use crate::args::rollout::Rollout;
use crate::output::told::NO_REASON;
use crate::rate::{count, within};

#[derive(Debug, Clone, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) wish: Plan,
    /// Say what would happen and change nothing, as `hoist plan` does
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    /// name@version or release id
    pub(crate) release: String,
    /// To which group; several make one deployment each
    #[arg(long, visible_alias = "groups", required = true, value_delimiter = ',')]
    pub(crate) group: Vec<String>,
    /// Start not before this time (RFC 3339, any offset)
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Let this many devices start, and end when they have
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, u32::MAX, 100))]
    pub(crate) limit: Option<u32>,
    /// End at this time (RFC 3339, any offset)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// End only when aborted, or also once every member is successful [default: aborted]
    #[arg(long, value_name = "WHEN")]
    pub(crate) complete_when: Option<CompleteWhenArg>,
    /// Time from a device's start after which it begins nothing anew; what runs ends by itself
    /// [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = within("1s", "100y", "24h"))]
    pub(crate) device_timeout: Option<std::time::Duration>,
    /// Attempts of a device before it fails [default: 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, u32::MAX, 3))]
    pub(crate) attempts: Option<u32>,
    /// Spread starts over this time
    #[arg(long, value_name = "TIME", value_parser = within("0s", "100y", "1h"))]
    pub(crate) spread: Option<std::time::Duration>,
    /// Go below what is installed, down to the floor that each device has confirmed
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Install also where everything is there already
    #[arg(long)]
    pub(crate) reinstall: bool,
    /// Start before the deployments that wait on a device; what has started there is finished first
    #[arg(long)]
    pub(crate) urgent: bool,
    /// Only devices whose labels fit, as in 'site=eu,board in (a,b),!broken'
    #[arg(long, value_name = "SELECTOR", conflicts_with = "devices")]
    pub(crate) selector: Option<String>,
    /// Only these devices
    #[arg(
        long = "device",
        visible_alias = "devices",
        value_name = "ID",
        value_delimiter = ','
    )]
    pub(crate) devices: Vec<String>,
    #[command(flatten, next_help_heading = "How it spreads")]
    pub(crate) rollout: Rollout,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Number of the deployment
    #[arg(value_parser = parse_deployment)]
    pub(crate) deployment: u32,
    /// Longest wait, then exit 5
    #[arg(long, value_name = "TIME", value_parser = within("0s", "100y", "10m"))]
    pub(crate) timeout: Option<std::time::Duration>,
    /// false prints once and returns
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Deployment {
    /// List deployments, newest last
    List,
    /// Show one deployment
    Show {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
    },
    /// Let nobody start until it goes on; who has started finishes
    Pause {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
        /// Why, for those who ask later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a paused deployment go on, also past a gate that stopped it
    Resume {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Approve that the next phase opens
    Approve {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
        /// The place of the phase, from 1 [default: the one that waits]
        #[arg(long, value_name = "N")]
        phase: Option<u32>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List every decision about a deployment, with the numbers it rests on
    History {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
    },
    /// Let devices that failed begin again
    Retry {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
        /// Only these [default: every failed device]
        #[arg(
            long = "device",
            visible_alias = "devices",
            value_name = "ID",
            value_delimiter = ','
        )]
        devices: Vec<String>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop a deployment: who has not started never starts
    Abort {
        /// Its number
        #[arg(value_parser = parse_deployment)]
        deployment: u32,
        /// Why, for those who ask later
        #[arg(long, default_value = NO_REASON)]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Reads the number of a deployment.
///
/// # Errors
/// What is wanted instead.
pub(super) fn parse_deployment(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        "the number of a deployment is wanted, as `hoist deployment list` shows it".to_owned()
    })
}

/// When a deployment ends by itself, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompleteWhenArg {
    /// Never: later joiners get it until somebody aborts it
    Aborted,
    /// Once every member is successful
    AllSuccessful,
}

impl From<CompleteWhenArg> for CompleteWhen {
    fn from(when: CompleteWhenArg) -> Self {
        match when {
            CompleteWhenArg::Aborted => Self::Aborted,
            CompleteWhenArg::AllSuccessful => Self::AllSuccessful,
        }
    }
}
