//! `hoist device …` and `hoist group …`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hoist_orchestrator_core::reply::StatusWord;

use super::deployment::parse_deployment;
use crate::rate::within;

/// A fleet to register.
#[derive(Debug, Clone, Args)]
pub(crate) struct Import {
    /// CSV with a header line: id, and where wanted type, group, public_key, labels
    pub(crate) file: PathBuf,
    /// Write each agent.toml as DIR/ID.toml, mode 0600 [default: print them]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Leave devices as they are that are registered with other properties
    #[arg(long)]
    pub(crate) skip_existing: bool,
    /// Check every line, say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A status of a device in a deployment, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    /// Not started
    Pending,
    /// Started and not ended
    #[value(alias = "inProgress")]
    InProgress,
    /// Ended well
    Successful,
    /// Ended badly
    Failed,
}

impl From<StatusArg> for StatusWord {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Pending => Self::Pending,
            StatusArg::InProgress => Self::InProgress,
            StatusArg::Successful => Self::Successful,
            StatusArg::Failed => Self::Failed,
        }
    }
}

/// What is asked of a device.
#[derive(Debug, Clone, Args)]
pub(crate) struct Why {
    /// Its id
    pub(crate) device: String,
    /// Only this deployment, also one that is over [default: all that concern it]
    #[arg(long, value_name = "NUMBER", value_parser = parse_deployment)]
    pub(crate) deployment: Option<u32>,
    /// Also list every rule that was looked at, and how it came out
    #[arg(long)]
    pub(crate) rules: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Register a device; print its agent.toml, or write it with --out
    Add(DeviceAdd),
    /// Register the devices of a CSV file; once more changes nothing
    ///
    /// Every line is checked before the first device is registered, and whatever is wrong
    /// refuses the whole file. The server then takes fifty devices at a time, each time all or
    /// none: should the connection break, the same command again does the rest. Groups must
    /// exist: `hoist group create NAME`.
    Import(Import),
    /// List devices
    List {
        /// Only this group
        #[arg(long)]
        group: Option<String>,
        /// Only with these labels, as site=eu,board in (a,b),!broken
        #[arg(long)]
        selector: Option<String>,
        /// Only with this status
        #[arg(long)]
        status: Option<StatusArg>,
        /// Those whom this deployment counts, with their status in it
        #[arg(long, value_name = "NUMBER", value_parser = parse_deployment)]
        deployment: Option<u32>,
        /// At most this many [default: all]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Show one device
    Show {
        /// Its id
        device: String,
    },
    /// Say why a device does or does not carry out a deployment, and what happens next
    Why(Why),
    /// Set and take away labels of a device, or of all that a selector names
    ///
    /// Those that a selector names are changed in the background, a few at a time and also when
    /// the server restarts meanwhile; this waits until all are. It may be ended: the server goes
    /// on, and `device passes` tells how far it is.
    Label(DeviceLabel),
    /// List the newest changes of many devices, and how far they are
    Passes,
    /// Put a device, or all that a selector names, into another group: what runs there finishes,
    /// then that group is obeyed
    Move(DeviceMove),
    /// Keep a device from starting anything; what runs it finishes
    Hold {
        /// Its id
        device: String,
        /// Let it go again
        #[arg(long)]
        lift: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Pin the key that a device shows in the place of its pinned one
    ///
    /// For a device whose storage was replaced: it keeps its group, its token and its records.
    /// `device remove` and `device add` begin it afresh instead, with another token.
    Approve(DeviceApprove),
    /// Shut a device out at once: its session ends, nothing that it has lets it in
    ///
    /// It stays listed, with its group and its records, and starts nothing. `device token rotate`
    /// lets it in again; so does `device approve`, once it has enrolled anew.
    Revoke(DeviceRevoke),
    /// Give a device another token
    #[command(subcommand)]
    Token(DeviceToken),
    /// Remove a device: its session ends, its token is worth nothing, its records stay
    Remove {
        /// Its id
        device: String,
        /// Only send away who waits for approval under this id: a registered device stays
        #[arg(long)]
        waiting: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Labels to change.
#[derive(Debug, Args)]
pub(crate) struct DeviceLabel {
    /// The device's id, unless there is a selector; then name=value to set a label and name-
    /// to take it away
    #[arg(required = true, value_name = "ID|LABEL")]
    pub(crate) words: Vec<String>,
    /// All devices with these labels, as site=eu,board in (a,b),!broken
    #[arg(long)]
    pub(crate) selector: Option<String>,
    /// Of those only the members of this group
    #[arg(long, requires = "selector")]
    pub(crate) group: Option<String>,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A device to move, or several.
#[derive(Debug, Args)]
pub(crate) struct DeviceMove {
    /// Its id
    #[arg(required_unless_present = "selector", conflicts_with = "selector")]
    pub(crate) device: Option<String>,
    /// All devices with these labels, as site=eu,board in (a,b),!broken
    #[arg(long)]
    pub(crate) selector: Option<String>,
    /// Where to
    #[arg(long)]
    pub(crate) group: String,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A device to register.
#[derive(Debug, Args)]
pub(crate) struct DeviceAdd {
    /// Its id: 1-64 of A-Z a-z 0-9 _ -
    pub(crate) device: String,
    /// Its type, matched against a release's device types
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) device_type: Option<String>,
    /// Its group [default: unassigned]
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// name=value, repeatable
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Write its agent.toml, which holds its token, to this file, mode 0600; one of another
    /// device is never replaced [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Say what would happen and change nothing: no token is made
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A device to shut out.
#[derive(Debug, Args)]
pub(crate) struct DeviceRevoke {
    /// Its id
    pub(crate) device: String,
    /// Why, for the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceToken {
    /// Make another token; print the agent.toml that holds it, or write it with --out
    ///
    /// At most two tokens of a device are good at a time. Its certificates stay as they are. To a
    /// revoked device it is the way back.
    Rotate(TokenRotate),
}

/// A device that gets another token.
#[derive(Debug, Args)]
pub(crate) struct TokenRotate {
    /// Its id
    pub(crate) device: String,
    /// How long the token before is good too; 0s ends its session at once
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = within("0s", "90d", "1h"))]
    pub(crate) overlap: Duration,
    /// Write its agent.toml to this file, mode 0600: settings of its own stay in one that is there;
    /// one of another device is never replaced [default: print it]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Say what would happen and change nothing: no token is made
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What `hoist device approve` is asked.
#[derive(Debug, Args)]
pub(crate) struct DeviceApprove {
    /// Its id
    pub(crate) device: String,
    /// The key\'s fingerprint, or its first 8 digits or more, as the agent\'s log and `device show`
    /// say it; it may only be left out for the first key of a device that was never removed or
    /// revoked
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Create a group
    Create {
        /// Its name: 1-64 of A-Z a-z 0-9 _ -
        group: String,
        /// Its members are all devices with these labels that nobody put elsewhere, as ring=canary
        #[arg(long)]
        selector: Option<String>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List groups
    List,
    /// Remove a group in which no device and no active deployment is
    Remove {
        /// Its name
        group: String,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is name=value".to_owned()),
    }
}
