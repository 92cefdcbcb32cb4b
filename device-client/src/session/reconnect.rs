//! When to connect again. A session that dies right after it began counts like one that could
//! not be begun: two devices with one identity end each other's sessions, and would connect
//! twice a second for ever.

use crate::machine::backoff_ms;

/// A session that lived so long was a good one: what ends it later is new.
const GOOD_MS: u64 = 60_000;
/// Waits are below 2^5 seconds: a broker that comes back finds its fleet soon.
const DOUBLINGS_MAX: u32 = 5;

/// The history of the connections so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconnects {
    /// Bad ones in a row.
    bad: u32,
}

/// The end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was never accepted.
    Unmade,
    /// It lived for so many ms.
    After(u64),
}

impl Reconnects {
    /// Ms to wait before the next connection. `random` are fresh random bits, for jitter only.
    #[must_use]
    pub fn wait_ms(&mut self, ended: Ended, random: u64) -> u64 {
        match ended {
            Ended::After(lived_ms) if lived_ms >= GOOD_MS => {
                self.bad = 0;
                backoff_ms(0, random)
            }
            Ended::Unmade => {
                self.bad = self.bad.saturating_add(1);
                backoff_ms(self.bad.min(DOUBLINGS_MAX), random)
            }
            Ended::After(_) => {
                let doublings = self.bad.min(DOUBLINGS_MAX);
                self.bad = self.bad.saturating_add(1);
                // The upper third of the bound: whoever ends each other's sessions connects
                // less than four times a minute, by whatever chance.
                let third_ms = (1_000 << doublings) / 3;
                2 * third_ms + random % third_ms
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    /// Bits that look random.
    fn bits(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *state >> 16
    }

    /// When each of two devices connects that end each other's sessions, in ms.
    fn connects_of_two(mut seed: u64) -> [Vec<u64>; 2] {
        let mut waits = [Reconnects::default(); 2];
        let mut due = [0, 700];
        let mut since: [Option<u64>; 2] = [None; 2];
        let mut connects = [Vec::new(), Vec::new()];
        while due.iter().any(|at| *at < 20 * MINUTE_MS) {
            let one = usize::from(due[1] < due[0]);
            let (other, now) = (1 - one, due[one]);
            connects[one].push(now);
            since[one] = Some(now);
            due[one] = u64::MAX;
            if let Some(began) = since[other].take() {
                let wait = waits[other].wait_ms(Ended::After(now - began), bits(&mut seed));
                due[other] = now + wait;
            }
        }
        connects
    }

    #[test]
    fn two_devices_with_one_identity_connect_less_than_four_times_a_minute_each() {
        for seed in 0..200 {
            for connects in connects_of_two(seed) {
                // Within the first minutes the bound is still on its way up.
                let late: Vec<u64> = connects
                    .into_iter()
                    .filter(|at| *at > 2 * MINUTE_MS)
                    .collect();
                let apart = late.windows(4).map(|of| of[3] - of[0]).min();
                assert!(
                    apart.is_some_and(|ms| ms > MINUTE_MS),
                    "seed {seed}: {late:?}"
                );
                assert!(late.len() > 15, "both go on: {late:?}");
            }
        }
    }

    #[test]
    fn a_session_that_lived_makes_the_next_connection_quick() {
        let mut reconnects = Reconnects::default();
        for _ in 0..10 {
            let _long = reconnects.wait_ms(Ended::Unmade, 7);
        }
        assert!(reconnects.wait_ms(Ended::After(GOOD_MS), 999_999) < 1_000);
        assert!(reconnects.wait_ms(Ended::After(GOOD_MS - 1), 999_999) < 1_000);
    }

    #[test]
    fn a_broker_that_is_away_is_asked_at_most_every_half_minute_or_so() {
        let mut reconnects = Reconnects::default();
        let mut seed = 1;
        let waits: Vec<u64> = (0..1_000)
            .map(|_| reconnects.wait_ms(Ended::Unmade, bits(&mut seed)))
            .collect();
        assert!(waits.iter().all(|ms| *ms < 32_000));
        let mean_ms = waits.iter().sum::<u64>() / 1_000;
        assert!((13_000..19_000).contains(&mean_ms), "{mean_ms}");
    }
}
