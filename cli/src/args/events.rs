//! `hoist events …`

use clap::Args;

use super::audit::parse_since;

/// What happened: of the groups of who asks, and of everything.
#[derive(Debug, Clone, Args)]
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
}
