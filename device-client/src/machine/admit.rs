//! Which listed deployment may start, and when (W2, W3, S10, S11, S13).

use hoist_protocol::head::{DeviceHead, GroupHead, Notice, WEEK_MINUTES, Window};
use hoist_protocol::id::DeviceId;

use crate::mutant::{Mutant, is_planted};
use crate::record::Ring;

/// The notice to start: lowest deployment first among those that admit this device.
pub(super) fn choose<'a>(
    head: &'a GroupHead,
    device: &DeviceId,
    own: &DeviceHead,
    ring: &Ring,
) -> Option<&'a Notice> {
    let is_over =
        |notice: &Notice| ring.is_over(notice.deployment, Some(notice.release), own.round(notice));
    let open = |notice: &&Notice| {
        (!own.holds(notice.deployment) || is_planted(Mutant::HoldForgotten))
            && (notice.audience.admits(notice.deployment, device)
                || is_planted(Mutant::LineForgotten))
            && (!is_over(notice) || is_planted(Mutant::EndedBeginsAgain))
    };
    head.notices
        .iter()
        .filter(open)
        .min_by_key(|notice| notice.deployment)
}

/// Whether a head is still valid for starting (row 42); an empty one never expires.
pub(super) fn is_valid(head: &GroupHead, now_ms: u64) -> bool {
    let lifetime_ms = u64::from(head.valid_for_s) * 1_000;
    let valid = lifetime_ms == 0 || now_ms <= head.generation.0.saturating_add(lifetime_ms);
    valid || is_planted(Mutant::StaleObeyed)
}

/// Milliseconds until one of the windows is open; 0 = now, also without windows.
pub(super) fn until_open_ms(windows: &[Window], now_ms: u64) -> u64 {
    const MINUTE_MS: u64 = 60_000;
    let week_ms = u64::from(WEEK_MINUTES) * MINUTE_MS;
    // The epoch was a Thursday; weeks begin on Monday.
    let of_week = (now_ms + 3 * 24 * 60 * MINUTE_MS) % week_ms;
    let wait = |window: &Window| {
        let start = u64::from(window.start_minute) * MINUTE_MS;
        let since = (of_week + week_ms - start) % week_ms;
        if since < u64::from(window.minutes) * MINUTE_MS {
            0
        } else {
            week_ms - since
        }
    };
    windows.iter().map(wait).min().unwrap_or(0)
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
    }
}
