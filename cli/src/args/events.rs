//! `hoist events …`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::audit::parse_since;
use crate::rate::within;

/// What happened: of the groups of who asks, and of everything.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Events {
    /// Only since then: a time like 2026-01-31T06:00:00Z, or how long ago, like 24h
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = parse_since)]
    pub(crate) since: String,
    /// Only events of this kind: `device-failed`
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Go on with what happens, until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(subcommand)]
    pub(crate) command: Option<EventsCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum EventsCommand {
    /// Tell programs and webhooks of every event: on the server's machine, in its data directory
    #[command(subcommand)]
    Sink(SinkCommand),
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SinkCommand {
    /// Add a sink: it is told what happens from then on, in order, at least once
    #[command(subcommand)]
    Add(SinkAdd),
    /// List sinks, how far each is, and why one does not take the next event
    List,
    /// Remove a sink, and forget what it did not take
    Remove {
        /// Its name
        id: String,
    },
    /// Send a sink an event of the kind `test`, from here and now
    Test {
        /// Its name
        id: String,
    },
    /// Print the events that a sink did not take in time, one JSON object per line
    Dead {
        /// Its name
        id: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SinkAdd {
    /// Post events to an address, signed with a secret (Standard Webhooks)
    Webhook {
        /// https://HOST[:PORT]/PATH, or http:// in a network of your own
        url: String,
        /// File with the secret, of at least 16 bytes, for its owner only
        #[arg(long, value_name = "FILE")]
        secret: PathBuf,
        /// The CA of the address, as PEM [default: those of the system]
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        #[command(flatten)]
        terms: SinkTerms,
    },
    /// Run a program for each event, which gets it on its standard input
    Exec {
        #[command(flatten)]
        terms: SinkTerms,
        /// The program and its arguments; no shell looks at them
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// The terms on which a sink is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct SinkTerms {
    /// Its name [default: webhook or exec, with the next free number]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Only events of these kinds, with commas
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    pub(crate) kinds: Vec<String>,
    /// Longest time of one attempt
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = within("1s", "10m", "10s"))]
    pub(crate) timeout: Duration,
    /// Time after which an event is given up that was not taken
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = within("1s", "30d", "24h"))]
    pub(crate) give_up: Duration,
}
