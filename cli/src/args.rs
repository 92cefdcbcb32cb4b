//! The command line, as data. Nothing here does anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hoist_orchestrator_core::command::CompleteWhen;
use hoist_protocol::access::Role;

use crate::exit;
use crate::output::Format;
use crate::rate::{Percent, parse_duration};

/// Over-the-air updates over MQTT: the server and the operator's commands.
#[derive(Debug, Parser)]
#[command(name = "hoist", version, after_help = exit::HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Settings file (TOML) for everything that is not given by a flag
    #[arg(long, global = true, env = "HOIST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The server's data directory [default: ./hoist-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address and token to connect with [default: client.toml of the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client: Option<PathBuf>,
    /// How to print results [default: table]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: broker, orchestrator, store and artifacts in one process
    Serve(Serve),
    /// Show a whole rollout here and now: 25 devices, one failure, one lost network
    Demo(Demo),
    /// Run simulated devices against a server
    Sim(Sim),
    /// Pack, sign and list releases
    #[command(subcommand)]
    Release(Release),
    /// Send a release to a group
    Deploy(Deploy),
    /// Say what deploying a release would do: whom it reaches, leaves out, and supersedes
    Plan(Plan),
    /// Watch a deployment until it is settled or over
    Status(Status),
    /// List, show, retry and abort deployments
    #[command(subcommand)]
    Deployment(Deployment),
    /// Register, look at, move, hold and remove devices, and ask why one does not start
    #[command(subcommand)]
    Device(Device),
    /// Create and list groups
    #[command(subcommand)]
    Group(Group),
    /// Create and list people and programs with a token
    #[command(subcommand)]
    User(User),
    /// Show the settings in effect
    #[command(subcommand)]
    Config(Config),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Serve {
    /// Address of the MQTT broker; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtt: Option<String>,
    /// Address of HTTP for artifacts and health [default: 127.0.0.1:7883]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<String>,
    /// First level of every topic [default: hoist]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// One line of JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// How many devices
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    pub(crate) devices: u32,
    /// Leave the data directory behind
    #[arg(long)]
    pub(crate) keep: bool,
    /// Decides which devices have trouble [default: random]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Sim {
    /// How many devices
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99_999))]
    pub(crate) devices: u32,
    /// Their group, created when missing
    #[arg(long, default_value = "sim")]
    pub(crate) group: String,
    /// How often a transfer fails and is tried again
    #[arg(long, default_value = "0%", value_name = "PERCENT")]
    pub(crate) loss: Percent,
    /// Mean time between lost connections of a device
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) flap: Option<std::time::Duration>,
    /// How many devices fail to install
    #[arg(long, default_value = "0%", value_name = "PERCENT")]
    pub(crate) fail: Percent,
    /// Decides who fails and when connections are lost
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The devices' own truth as JSON on standard output, at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the devices registered
    #[arg(long)]
    pub(crate) keep: bool,
    /// End when a deployment to the group is settled
    #[arg(long)]
    pub(crate) until_settled: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Pack and sign a release directory, upload and register it
    Create {
        /// Directory with release.toml or artifact.toml
        dir: PathBuf,
        /// Also write the signed .hoist file here
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Do not upload
        #[arg(long, requires = "out")]
        no_upload: bool,
        /// Key that signs [default: keys/release.key of the data directory]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// List releases
    List,
    /// Show one release
    Show {
        /// name@version or release id
        release: String,
    },
}

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
    /// Start not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Let this many devices start, and end when they have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// End at this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// End only when aborted, or also once every member is successful [default: aborted]
    #[arg(long, value_name = "WHEN")]
    pub(crate) complete_when: Option<CompleteWhenArg>,
    /// Longest time from a device's start to its end [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) device_timeout: Option<std::time::Duration>,
    /// Attempts of a device before it fails [default: 3]
    #[arg(long)]
    pub(crate) attempts: Option<u32>,
    /// Spread starts over this time
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) spread: Option<std::time::Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Number of the deployment
    pub(crate) deployment: u32,
    /// Longest wait, then exit 5
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
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
        deployment: u32,
    },
    /// Let devices that failed begin again
    Retry {
        /// Its number
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
        deployment: u32,
        /// Why, for those who ask later
        #[arg(long, default_value = "aborted by operator")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Register a device and print its agent.toml
    Add {
        /// Its id: 1-64 of A-Z a-z 0-9 _ -
        device: String,
        /// Its type, matched against a release's device types
        #[arg(long = "type", value_name = "TYPE")]
        device_type: Option<String>,
        /// Its group [default: unassigned]
        #[arg(long)]
        group: Option<String>,
        /// name=value, repeatable
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
        labels: Vec<(String, String)>,
    },
    /// List devices
    List {
        /// Only this group
        #[arg(long)]
        group: Option<String>,
        /// Only with this status: pending, inProgress, successful or failed
        #[arg(long)]
        status: Option<String>,
        /// Their status in this deployment
        #[arg(long)]
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
    Why {
        /// Its id
        device: String,
        /// Only this deployment, also one that is over [default: all that concern it]
        #[arg(long, value_name = "NUMBER")]
        deployment: Option<u32>,
    },
    /// Put a device into another group: what runs it finishes, then it obeys that group
    Move {
        /// Its id
        device: String,
        /// Where to
        #[arg(long)]
        group: String,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
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
    /// Remove a device: its token is worth nothing from then on, its history stays
    Remove {
        /// Its id
        device: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Create a group
    Create {
        /// Its name: 1-64 of A-Z a-z 0-9 _ -
        group: String,
    },
    /// List groups
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user and print a client.toml with the token, once
    Add {
        /// Name: 1-64 of A-Z a-z 0-9 _ -
        user: String,
        /// What the user may do
        #[arg(long)]
        role: RoleArg,
        /// Only these groups [default: all]
        #[arg(long, value_delimiter = ',')]
        groups: Vec<String>,
    },
    /// List users
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every setting
    Show {
        /// Also where each comes from
        #[arg(long)]
        origin: bool,
    },
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

/// A role as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads everything
    Viewer,
    /// Also adds releases and deploys
    Deployer,
    /// Also manages devices, groups and users
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Deployer => Self::Deployer,
            RoleArg::Admin => Self::Admin,
        }
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is name=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_behind_the_command() {
        for line in [
            "hoist --data-dir d --client c release list -o json",
            "hoist release list --client c --data-dir d --output json",
        ] {
            let cli = parse(line);
            assert_eq!(cli.global.data_dir, Some(PathBuf::from("d")));
            assert_eq!(cli.global.client, Some(PathBuf::from("c")));
            assert_eq!(cli.global.output, Some(Format::Json));
        }
    }

    #[test]
    fn watching_is_the_default_of_status() {
        let watch = |line| match parse(line).command {
            Command::Status(status) => status.watch,
            _ => unreachable!(),
        };
        assert!(watch("hoist status 1"));
        assert!(watch("hoist status 1 --watch --timeout 5s"));
        assert!(!watch("hoist status 1 --watch=false"));
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_happens() {
        for line in [
            "hoist",
            "hoist deploy a@1",
            "hoist deploy a@1 --group eu --limit 0",
            "hoist deploy a@1 --group eu --complete-when never",
            "hoist device move d",
            "hoist sim --devices 0",
            "hoist sim --devices 5 --loss 101%",
            "hoist release create d --no-upload",
            "hoist device add d --label novalue",
            "hoist user add bob --role king",
            "hoist pause 1",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert!(error.use_stderr(), "{line}");
        }
    }
}
