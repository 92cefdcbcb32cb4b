//! Exit codes: scripts rely on them, so each has a name and never changes its number.

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
/// What was waited for did not happen in time.
pub const TIMED_OUT: u8 = 5;
/// The deployment was aborted.
pub const ABORTED: u8 = 6;
/// Something named does not exist.
pub const NOT_FOUND: u8 = 7;
/// It contradicts what is there.
pub const CONFLICT: u8 = 8;
/// The broker cannot be reached.
pub const UNREACHABLE: u8 = 9;
/// Ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The table shown at the end of `--help`.
pub(crate) const HELP: &str = "\
Exit codes: 0 ok · 1 error · 2 usage · 3 finished with failed devices · 4 not authorized · \
5 wait timed out · 6 aborted · 7 not found · 8 conflict · 9 broker unreachable · 130 interrupted";

/// The exit code of a stable error code.
#[must_use]
pub fn of_code(code: &str) -> u8 {
    match code {
        "E_CMD" | "E_VERB" | "E_NAME" | "E_TIME" | "E_NOT_YET" | "E_CURSOR" | "E_CONFIG"
        | "E_CSV" | "E_INSECURE" | "E_CONFIRM" => USAGE,
        "E_ROLE" | "E_AUTH" => NOT_AUTHORIZED,
        "E_WAIT" => TIMED_OUT,
        "E_RELEASE" | "E_GROUP" | "E_DEVICE" | "E_DEPLOYMENT" | "E_USER" => NOT_FOUND,
        "E_CONFLICT" | "E_RELEASE_EXISTS" | "E_DEVICE_EXISTS" | "E_USER_EXISTS"
        | "E_GROUP_IN_USE" | "E_HEAD_FULL" | "E_ENDED" | "E_NOT_FAILED" | "E_REQUEST_REUSED" => {
            CONFLICT
        }
        "E_BROKER" => UNREACHABLE,
        _ => ERROR,
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
            ("E_RELEASE_EXISTS", 8),
            ("E_BROKER", 9),
            ("E_LOCKED", 1),
            ("E_PORT", 1),
            ("E_INSECURE", 2),
        ] {
            assert_eq!(of_code(code), exit, "{code}");
        }
    }
}
