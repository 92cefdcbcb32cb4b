//! Refusals in the log: the first of a client and reason at once, the rest of the next
//! minute as a number. A flood must be seen, and must not be what fills the disk
//! (bad-inputs row 87).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which a reason of a client is not said again.
const PAUSE: Duration = Duration::from_secs(60);
/// Clients and reasons that are told apart: what comes beyond shares one place.
const KEPT_MAX: usize = 1_024;
/// Characters of a client id that are kept and said: it may be of any length and kind.
const CLIENT_CHARS_MAX: usize = 64;

/// A client, and why it was refused.
type Kind = (String, &'static str);

/// The last line about one client and reason.
struct Said {
    at: Instant,
    since: u64,
}

/// Decides what is said.
#[derive(Default)]
pub(crate) struct Quiet(Mutex<HashMap<Kind, Said>>);

impl Quiet {
    /// The number of refusals of this kind that were not said since the last one, if this one is to
    /// be said now.
    pub(crate) fn says(&self, client: &str, reason: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = (shown(client), reason);
        if kinds.len() >= KEPT_MAX && !kinds.contains_key(&kind) {
            kinds.retain(|_, said| now.duration_since(said.at) < PAUSE);
        }
        if kinds.len() >= KEPT_MAX && !kinds.contains_key(&kind) {
            kind.0 = String::new();
        }
        match kinds.get_mut(&kind) {
            Some(said) if now.duration_since(said.at) < PAUSE => {
                said.since += 1;
                None
            }
            Some(said) => {
                said.at = now;
                Some(std::mem::take(&mut said.since))
            }
            None => {
                kinds.insert(kind, Said { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

/// As much of a client id as is worth a line.
pub(crate) fn shown(client: &str) -> String {
    client.chars().take(CLIENT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_with_its_number_and_hides_nobody_else() {
        let quiet = Quiet::default();
        let now = Instant::now();
        assert_eq!(quiet.says("mallory", "E_TOPIC", now), Some(0));
        for _ in 0..500 {
            assert_eq!(quiet.says("mallory", "E_TOPIC", now), None);
        }
        assert_eq!(quiet.says("mallory", "E_SIZE", now), Some(0));
        assert_eq!(quiet.says("alice", "E_TOPIC", now), Some(0));
        let later = now + PAUSE;
        assert_eq!(quiet.says("mallory", "E_TOPIC", later), Some(500));
        assert_eq!(quiet.says("mallory", "E_TOPIC", later), None);
    }

    #[test]
    fn a_flood_of_names_takes_one_place_beyond_the_last() {
        let quiet = Quiet::default();
        let now = Instant::now();
        for number in 0..KEPT_MAX {
            assert!(quiet.says(&number.to_string(), "E_AUTH", now).is_some());
        }
        assert_eq!(quiet.says("one more", "E_AUTH", now), Some(0));
        assert_eq!(quiet.says("and another", "E_AUTH", now), None);
        let kept = quiet.0.lock().unwrap().len();
        assert!(kept <= KEPT_MAX + 1, "{kept}");
        let later = now + PAUSE;
        assert!(
            quiet.says("and another", "E_AUTH", later).is_some(),
            "forgotten by then"
        );
    }
}
