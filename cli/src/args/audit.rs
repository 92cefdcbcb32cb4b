//! `hoist audit …`

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use data_encoding::HEXLOWER_PERMISSIVE;
use hoist_orchestrator_core::model::row::AuditHash;
use hoist_orchestrator_core::model::time::{format_time, parse_time};

use crate::rate::parse_duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List who changed what, or was refused to, when and from where; oldest first
    List {
        /// Only what this user sent
        #[arg(long)]
        user: Option<String>,
        /// Only since then: a time like 2026-01-31T06:00:00Z, or how long ago, like 24h
        #[arg(long, value_name = "TIME", value_parser = parse_since)]
        since: Option<String>,
    },
    /// Prove that no item was changed or removed: of the server, or of an exported file
    Verify {
        /// A file that `hoist audit export` wrote [default: ask the server]
        file: Option<PathBuf>,
        /// A head that an earlier export or verify printed: it must still be in the trail
        #[arg(long, value_name = "HASH", value_parser = parse_head)]
        head: Option<AuditHash>,
    },
    /// Print the whole trail, one JSON object per line, or write it with --out
    Export {
        /// A new file, for its owner only [default: print it]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A time, or how long ago it was.
pub(super) fn parse_since(text: &str) -> Result<String, String> {
    if parse_time(text).is_some() {
        return Ok(text.to_owned());
    }
    let ago = parse_duration(text)
        .map_err(|_| "write a time as 2026-01-31T06:00:00Z, or how long ago as 24h".to_owned())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(ago);
    Ok(format_time(
        u64::try_from(then.as_millis()).unwrap_or(u64::MAX),
    ))
}

fn parse_head(text: &str) -> Result<AuditHash, String> {
    let hash = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let hash = hash.and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| "a head is 64 hex digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let time = "2026-01-31T06:00:00+02:00";
        assert_eq!(parse_since(time).as_deref(), Ok(time));
        let day = parse_time(&parse_since("24h").unwrap()).unwrap();
        let hour = parse_time(&parse_since("1h").unwrap()).unwrap();
        assert!((hour - day).abs_diff(23 * 3_600_000) <= 2_000);
        assert!(parse_since("yesterday").is_err());
    }

    #[test]
    fn a_head_is_a_whole_hash() {
        assert_eq!(parse_head(&"0A".repeat(32)), Ok([10; 32]));
        for wrong in ["", "0a", &"0g".repeat(32), &"0a".repeat(33)] {
            assert!(parse_head(wrong).is_err(), "{wrong}");
        }
    }
}
