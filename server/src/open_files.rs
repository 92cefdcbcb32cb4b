//! The limit on files that the process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files that the store, artifacts and the process itself have open beside
/// connections.
const OTHERS: u64 = 256;

/// Raises the soft limit to what so many connections need, and says loudly where the system
/// allows less. How many may be open.
pub(crate) fn raise(connections: usize) -> u64 {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    let allowed = wanted(limit, needed);
    if let Some(soft) = allowed.filter(|_| limit.current != allowed) {
        let raised = Rlimit {
            current: Some(soft),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if open < needed {
        tracing::warn!(
            open,
            needed,
            "fewer files may be open than there may be connections; raise the hard limit \
             (LimitNOFILE of systemd, `ulimit -Hn`), or devices are turned away early"
        );
    }
    open
}

/// The soft limit to set: never lower than it is, never above the hard one. None is no limit.
fn wanted(limit: Rlimit, needed: u64) -> Option<u64> {
    let current = limit.current?;
    let most = limit.maximum.unwrap_or(u64::MAX);
    Some(current.max(needed.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_what_is_needed_and_never_above_the_hard_one() {
        let limit = |current, maximum| Rlimit { current, maximum };
        for (current, maximum, wanted_limit) in [
            (Some(1_024), Some(1_048_576), Some(11_000)),
            (Some(1_024), Some(4_096), Some(4_096)),
            (Some(20_000), Some(20_000), Some(20_000)),
            (Some(1_024), None, Some(11_000)),
            (None, None, None),
        ] {
            assert_eq!(wanted(limit(current, maximum), 11_000), wanted_limit);
        }
    }

    #[test]
    fn what_is_raised_is_what_the_system_says_afterwards() {
        let open = raise(0);
        assert_eq!(
            getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            open
        );
    }
}
