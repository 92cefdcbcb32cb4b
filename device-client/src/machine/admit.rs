//! Which listed deployment may start, and when (W2, W3, S10, S11, S13).

use hoist_protocol::id::DeviceId;
use hoist_protocol::spec::{DeploymentSpec, DeviceSpec, GroupSpec, WEEK_MINUTES, Window};

use crate::record::Ring;

/// The entry to start among those that admit this device: urgent ones come first, then the
/// lowest deployment (S11).
pub(super) fn choose<'a>(
    spec: &'a GroupSpec,
    device: &DeviceId,
    own: &DeviceSpec,
    ring: &Ring,
) -> Option<&'a DeploymentSpec> {
    let is_over = |entry: &DeploymentSpec| {
        ring.is_over(entry.deployment, Some(entry.release), own.round(entry))
    };
    let open = |entry: &&DeploymentSpec| {
        !own.holds(entry.deployment) && own.admits(entry, device) && !is_over(entry)
    };
    spec.entries
        .iter()
        .filter(open)
        .min_by_key(|entry| entry.policy.turn(entry.deployment))
}

/// True if a spec is still valid for starting (bad-inputs row 42); an empty one never expires.
pub(super) fn is_valid(spec: &GroupSpec, now_ms: u64) -> bool {
    let lifetime_ms = u64::from(spec.valid_for_s) * 1_000;
    lifetime_ms == 0 || now_ms <= spec.generation.0.saturating_add(lifetime_ms)
}

const MINUTE_MS: u64 = 60_000;
const WEEK_MS: u64 = WEEK_MINUTES as u64 * MINUTE_MS;

/// Milliseconds since a window opened last.
fn since_open_ms(window: &Window, now_ms: u64) -> u64 {
    // The epoch was a Thursday; weeks begin on Monday.
    let of_week = (now_ms + 3 * 24 * 60 * MINUTE_MS) % WEEK_MS;
    let start = u64::from(window.start_minute) * MINUTE_MS;
    (of_week + WEEK_MS - start) % WEEK_MS
}

/// Milliseconds that a window which is so much longer is open for still.
fn left_ms(window: &Window, longer_ms: u64, now_ms: u64) -> u64 {
    let length_ms = u64::from(window.minutes) * MINUTE_MS + longer_ms;
    length_ms.saturating_sub(since_open_ms(window, now_ms))
}

/// Milliseconds until one of the windows is open; 0 = now, also without windows.
pub(super) fn until_open_ms(windows: &[Window], now_ms: u64) -> u64 {
    until_begin_ms(windows, 0, now_ms)
}

/// Milliseconds until one of the windows is open, or until now, if one ended so shortly before.
pub(super) fn until_begin_ms(windows: &[Window], overrun_ms: u64, now_ms: u64) -> u64 {
    let wait = |window: &Window| match left_ms(window, overrun_ms, now_ms) {
        0 => WEEK_MS - since_open_ms(window, now_ms),
        _ => 0,
    };
    windows.iter().map(wait).min().unwrap_or(0)
}

/// Milliseconds that the longest of the windows that are open then is open for still; without
/// windows there is no end.
pub(super) fn open_for_ms(windows: &[Window], then_ms: u64) -> u64 {
    let left = windows.iter().map(|window| left_ms(window, 0, then_ms));
    left.max().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_from_its_start_for_its_length() {
        // 1970-01-05 was a Monday.
        let monday = 4 * 86_400_000;
        let window = [Window {
            start_minute: 60,
            minutes: 30,
        }];
        assert_eq!(until_open_ms(&window, monday), 3_600_000);
        assert_eq!(until_open_ms(&window, monday + 3_600_000), 0);
        assert_eq!(until_open_ms(&window, monday + 90 * 60_000 - 1), 0);
        assert_eq!(
            until_open_ms(&window, monday + 90 * 60_000),
            (u64::from(WEEK_MINUTES) - 30) * 60_000
        );
        assert_eq!(until_open_ms(&[], monday), 0);
        assert_eq!(open_for_ms(&window, monday + 70 * 60_000), 20 * 60_000);
        assert_eq!(open_for_ms(&window, monday), 0);
        assert_eq!(open_for_ms(&[], monday), u64::MAX);
        let after = |minutes: u64| monday + (90 + minutes) * 60_000;
        assert_eq!(until_begin_ms(&window, 300_000, after(5) - 1), 0);
        assert!(until_begin_ms(&window, 300_000, after(5)) > 0);
    }
}
