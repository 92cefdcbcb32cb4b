//! `hoist check`

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::rate::{Percent, within};

/// The form in which a check is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// One line for each check, for people
    Text,
    /// One line with performance data, for Nagios, Icinga and the like
    Nagios,
    /// Gauges, for the textfile collector of Prometheus' node exporter
    Prometheus,
    /// One JSON object
    Json,
}

/// The thresholds: what is beyond the first of a pair is a warning, beyond the second critical.
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    /// How to print the result [default: text; json with -o json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<CheckFormat>,
    /// Longest wait for the server
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = within("100ms", "10m", "10s"))]
    pub(crate) timeout: Duration,
    /// Share of offline devices
    #[arg(long, default_value = "10%", value_name = "PERCENT")]
    pub(crate) offline_warning: Percent,
    /// Share of offline devices
    #[arg(long, default_value = "30%", value_name = "PERCENT")]
    pub(crate) offline_critical: Percent,
    /// Share of failed devices among those that have ended in an active deployment
    #[arg(long, default_value = "1%", value_name = "PERCENT")]
    pub(crate) failed_warning: Percent,
    /// Share of failed devices among those that have ended in an active deployment
    #[arg(long, default_value = "10%", value_name = "PERCENT")]
    pub(crate) failed_critical: Percent,
    /// Time for which no device of a deployment at work has reported anything
    #[arg(long, default_value = "6h", value_name = "TIME", value_parser = within("1s", "10y", "6h"))]
    pub(crate) stuck_warning: Duration,
    /// Time for which no device of a deployment at work has reported anything
    #[arg(long, default_value = "3d", value_name = "TIME", value_parser = within("1s", "10y", "3d"))]
    pub(crate) stuck_critical: Duration,
    /// Time until a certificate ends
    #[arg(long, default_value = "14d", value_name = "TIME", value_parser = within("0s", "10y", "14d"))]
    pub(crate) certificate_warning: Duration,
    /// Time until a certificate ends
    #[arg(long, default_value = "3d", value_name = "TIME", value_parser = within("0s", "10y", "3d"))]
    pub(crate) certificate_critical: Duration,
    /// MiB of space left for the server
    #[arg(long, default_value_t = 1_024, value_name = "MIB")]
    pub(crate) disk_warning: u64,
    /// MiB of space left for the server
    #[arg(long, default_value_t = 128, value_name = "MIB")]
    pub(crate) disk_critical: u64,
    /// Events that a sink has not taken yet
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub(crate) sink_warning: u32,
    /// Events that a sink has not taken yet
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER")]
    pub(crate) sink_critical: u32,
    /// Age of the last backup [default: backups are not looked at]
    #[arg(long, value_name = "TIME", value_parser = within("1s", "10y", "2d"))]
    pub(crate) backup_warning: Option<Duration>,
    /// Age of the last backup [default: backups are not looked at]
    #[arg(long, value_name = "TIME", value_parser = within("1s", "10y", "8d"))]
    pub(crate) backup_critical: Option<Duration>,
}
