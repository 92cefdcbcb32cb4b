//! The command line, as data. Nothing here does anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit;
use crate::output::Format;
use crate::rate::{Percent, count, within};

mod audit;
mod broker;
mod check;
mod deployment;
mod device;
mod enroll;
mod events;
mod keys;
mod rollout;
#[cfg(test)]
mod tests;
mod user;

pub(crate) use audit::Audit;
pub(crate) use broker::{Broker, Doctor, Render};
pub(crate) use check::{Check, CheckFormat};
pub(crate) use deployment::{Deploy, Deployment, Plan, Status};
pub(crate) use device::{
    Device, DeviceAdd, DeviceApprove, DeviceLabel, DeviceMove, DeviceRevoke, DeviceToken, Group,
    Import, TokenRotate, Why,
};
pub(crate) use enroll::Enroll;
pub(crate) use events::{Events, EventsCommand, SinkAdd, SinkCommand, SinkTerms};
pub(crate) use keys::{Keys, Rotate, SignArgs};
pub(crate) use rollout::{Failures, Policy, Rollout};
pub(crate) use user::User;

/// Over-the-air updates over MQTT: the server and the operator's commands.
#[derive(Debug, Parser)]
#[command(name = "hoist", bin_name = "hoist", version, propagate_version = true)]
#[command(after_help = exit::HELP, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Heading of what stands in the help of every command.
const GLOBAL: &str = "Options of every command";

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Settings file (TOML) for everything that is not given by a flag
    #[arg(long, global = true, help_heading = GLOBAL, env = "HOIST_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The server's data directory [default: ./hoist-data]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address and token to connect with [default: client.toml of the data directory]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(crate) client: Option<PathBuf>,
    /// How to print results [default: table]
    #[arg(short, long, global = true, help_heading = GLOBAL, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: broker, orchestrator, store and artifacts in one process
    Serve(Serve),
    /// Write everything a server needs again into one file, also while it runs
    Backup(Backup),
    /// Bring a backup back, into an empty data directory or one that lost its store
    Restore(Restore),
    /// Learn from the fleet what a lost or older store does not know, then end
    Recover(Recover),
    /// Look at the store of a stopped server
    #[command(subcommand)]
    Store(Store),
    /// Show a whole rollout here and now: 25 devices, one failure, one lost network
    Demo(Demo),
    /// Run simulated devices against a server
    Sim(Sim),
    /// Pack, sign, list and remove releases
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
    /// Let nobody start anything, in a group or anywhere; who has started finishes
    Freeze(Freeze),
    /// Lift a freeze: what waits begins
    Unfreeze(Freeze),
    /// Let devices set themselves up: make, list and revoke claims
    #[command(subcommand)]
    Enroll(Enroll),
    /// Create, list and remove groups
    #[command(subcommand)]
    Group(Group),
    /// Put, list and show policies: rollouts that have a name
    #[command(subcommand)]
    Policy(Policy),
    /// Create, list and remove people and programs with a token
    #[command(subcommand)]
    User(User),
    /// Work with a broker that you run yourself
    #[command(subcommand)]
    Broker(Broker),
    /// Try what must be impossible at a broker, and say what is open
    Doctor(Doctor),
    /// Say for monitoring whether server and fleet are well: exit 0 ok, 1 warning, 2 critical,
    /// 3 unknown
    Check(Check),
    /// Make, list, replace and export keys, and sign on another machine
    #[command(subcommand)]
    Keys(Keys),
    /// List what happened, and follow what happens
    Events(Events),
    /// List who changed what, and prove that the list is whole
    #[command(subcommand)]
    Audit(Audit),
    /// Show the settings in effect
    #[command(subcommand)]
    Config(Config),
    /// Say what an error code or a reason means and what to do
    Explain {
        /// E_… or a reason as in `device show` [default: list all]
        word: Option<String>,
    },
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Freeze {
    /// The group [default: everything, groups that are created later included]
    pub(crate) group: Option<String>,
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Serve {
    /// Where the embedded broker listens; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtt: Option<String>,
    /// Address of HTTP for artifacts and health [default: 127.0.0.1:7883]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<String>,
    /// `embedded`, or another broker: mqtts://HOST:PORT with --broker-ca, or mqtt://127.0.0.1:PORT
    /// [default: embedded]
    #[arg(long, value_name = "BROKER")]
    pub(crate) broker: Option<String>,
    /// Where devices reach another broker, when it is not where people do
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) device_broker: Option<String>,
    /// Work with another broker although this is open there, as `hoist doctor` found. Several times
    #[arg(long, value_name = "CODE")]
    pub(crate) accept_risk: Vec<String>,
    /// The CA of another broker, as PEM, for mqtts://
    #[arg(long, value_name = "FILE")]
    pub(crate) broker_ca: Option<PathBuf>,
    /// Host to listen on for others, at the ports of --mqtt and --http: 0.0.0.0. With TLS
    #[arg(long, value_name = "HOST")]
    pub(crate) listen: Option<String>,
    /// What clients connect to: names or addresses, with commas. Without --tls-cert, the first
    /// start makes a CA and a certificate; with --no-tls it is the host of a proxy in front
    #[arg(long, value_name = "NAMES")]
    pub(crate) name: Option<String>,
    /// A given certificate with its chain, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A CA whose certificates let devices in by the id in their common name, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// The oldest version of TLS for others than agents: 1.2 or 1.3 [default: 1.3]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_min: Option<String>,
    /// Nothing is encrypted: only on this machine
    #[arg(long)]
    pub(crate) no_tls: bool,
    /// First level of every topic [default: hoist]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Backup {
    /// Where to write it: a tar file, for its owner only
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// A file that `hoist backup` wrote
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// Longest wait for the fleet
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = within("0s", "100y", "5m"))]
    pub(crate) wait: std::time::Duration,
    /// Also when nothing shows that anything was lost: it ends every active deployment
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Read everything in it, and say whether it is whole and fits together
    Check,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// One line of JSON on standard output; its dataDir stays only with --keep
    #[arg(long)]
    pub(crate) json: bool,
    /// How many devices
    #[arg(long, default_value_t = 25, allow_negative_numbers = true, value_parser = count(3, 1_000, 25))]
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
    #[arg(long, allow_negative_numbers = true, value_parser = count(1, 99_999, 1_000))]
    pub(crate) devices: u32,
    /// Their group, created when missing; it stays, without devices
    #[arg(long, default_value = "sim")]
    pub(crate) group: String,
    /// What their ids begin with: PREFIX-00001 and so on
    #[arg(long, default_value = "sim")]
    pub(crate) prefix: String,
    /// How often a transfer fails and is tried again
    #[arg(long, default_value = "0%", value_name = "PERCENT")]
    pub(crate) loss: Percent,
    /// Mean time between lost connections of a device
    #[arg(long, value_name = "TIME", value_parser = within("1ms", "100y", "30s"))]
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
    /// Leave the devices registered: a later run with the same prefix and group goes on with
    /// them, and leaves them too
    #[arg(long)]
    pub(crate) keep: bool,
    /// End when a deployment to the group is settled
    #[arg(long)]
    pub(crate) until_settled: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Pack and sign a release directory, upload and register it
    #[command(alias = "add")]
    Create {
        /// Directory with release.toml or artifact.toml
        dir: PathBuf,
        /// Also write the signed .hoist file here
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Do not upload
        #[arg(long, requires = "out")]
        no_upload: bool,
        #[command(flatten)]
        signer: SignArgs,
        /// Write a request that `hoist keys sign` signs on another machine, and nothing else
        #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "sign_with", "out", "signature"])]
        request: Option<PathBuf>,
        /// The signature that came back for such a request
        #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "sign_with"])]
        signature: Option<PathBuf>,
        /// Pack and sign, say what would happen, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List releases
    List,
    /// Show one release
    Show {
        /// name@version or release id
        release: String,
    },
    /// Remove a release that no deployment needs any more
    Remove {
        /// name@version or release id
        release: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
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
