//! `hoist user …`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use hoist_protocol::access::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user; print its client.toml, which has its token, or write it with --out
    Add {
        /// Name: 1-64 of A-Z a-z 0-9 _ -
        user: String,
        /// What the user may do
        #[arg(long)]
        role: RoleArg,
        /// Only these groups [default: all]
        #[arg(long, value_delimiter = ',')]
        groups: Vec<String>,
        /// Write its client.toml, which holds its token, to this file, mode 0600; a file that
        /// is there is never replaced [default: print it]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say what would happen and change nothing: no token is made
        #[arg(long)]
        dry_run: bool,
    },
    /// List users
    List,
    /// Remove a user: its token is worth nothing from then on
    Remove {
        /// Its name
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
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
