//! `hoist enroll …`

use std::time::Duration;

use clap::Subcommand;

use crate::rate::{count, within};

#[derive(Debug, Subcommand)]
pub(crate) enum Enroll {
    /// Make a claim and print the one text that sets devices up: `hoist-agent enroll --file TEXT.txt`
    Create {
        /// How many devices may register by it
        #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = count(1, 1_000_000, 500))]
        uses: u32,
        /// How long it is good
        #[arg(long, default_value = "7d", value_name = "TIME", value_parser = within("1s", "10y", "30d"))]
        expires: Duration,
        /// Their group, which must exist [default: unassigned]
        #[arg(long)]
        group: Option<String>,
        /// The ids that it is for, where * stands for any text: 'pump-*' [default: any]
        #[arg(long, alias = "pattern", value_name = "PATTERN")]
        ids: Option<String>,
        /// Each device waits for `hoist device approve`
        #[arg(long)]
        approve: bool,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List claims, and how often each was used
    List,
    /// List devices that wait for `hoist device approve`, with their fingerprints
    Waiting,
    /// Nobody registers by a claim any more; devices that have come by it stay
    #[command(alias = "remove")]
    Revoke {
        /// The claim, as in `hoist enroll list`
        claim: String,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}
