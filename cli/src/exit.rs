//! Exit codes: scripts rely on them, so each has a name and never changes its number.

use hoist_protocol::code::{Class, Code};
use hoist_server::failure::Failure;

/// Done.
pub const OK: u8 = 0;
/// Something failed that no other code describes.
pub const ERROR: u8 = 1;
/// The command line, a setting or a command's fields are wrong.
pub const USAGE: u8 = 2;
/// Finished, but some devices failed.
pub const FAILED_DEVICES: u8 = 3;
/// Wrong token or a role that may not do it.
pub const NOT_AUTHORIZED: u8 = 4;
/// The awaited event did not happen in time.
pub const TIMED_OUT: u8 = 5;
/// The deployment was aborted, or another took its place before it was everywhere.
pub const ABORTED: u8 = 6;
/// Something named does not exist.
pub const NOT_FOUND: u8 = 7;
/// It contradicts what is there.
pub const CONFLICT: u8 = 8;
/// The broker cannot be reached.
pub const UNREACHABLE: u8 = 9;
/// Ended by Ctrl-C, a closed terminal or SIGTERM before its work was done.
pub const INTERRUPTED: u8 = 130;

/// The table shown at the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  ok
    1  error
    2  usage
    3  finished with failed devices
    4  not authorized
    5  wait timed out
    6  aborted or superseded
    7  not found
    8  conflict
    9  broker unreachable
  130  interrupted";

/// The exit code of a command that failed.
#[must_use]
pub(crate) fn of(failure: &Failure) -> u8 {
    of_code(&failure.code)
}

/// The exit code of a stable error code; [`ERROR`] for one that only a newer server knows.
#[must_use]
pub fn of_code(code: &str) -> u8 {
    match Code::parse(code).map_or(Class::Failed, Code::class) {
        Class::Failed => ERROR,
        Class::Usage => USAGE,
        Class::Forbidden => NOT_AUTHORIZED,
        Class::TimedOut => TIMED_OUT,
        Class::NotFound => NOT_FOUND,
        Class::Conflict => CONFLICT,
        Class::Unreachable => UNREACHABLE,
        Class::Interrupted => INTERRUPTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_own_exit_code() {
        for (code, exit) in [
            ("E_CMD", 2),
            ("E_ROLE", 4),
            ("E_WAIT", 5),
            ("E_RELEASE", 7),
            ("E_CLAIM", 7),
            ("E_RELEASE_EXISTS", 8),
            ("E_BROKER", 9),
            ("E_LOCKED", 1),
            ("E_PORT", 1),
            ("E_INSECURE", 2),
            ("E_CANCELED", 130),
            ("E_OF_A_NEWER_SERVER", 1),
        ] {
            assert_eq!(of_code(code), exit, "{code}");
        }
    }
}
