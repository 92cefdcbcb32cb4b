//! Repeatable choices from a seed, for the demo and the simulated fleet. Never for
//! secrets.

/// SplitMix64: small, and every seed gives a full-period sequence.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// An own sequence for one member of a fleet.
    pub(crate) fn of(seed: u64, member: u64) -> Self {
        let mut random = Self::new(seed);
        Self::new(random.next() ^ member.wrapping_mul(0xA24B_AED4_963E_E407))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_members_differ() {
        let run = |seed, member| {
            let mut random = Random::of(seed, member);
            [random.next(), random.next()]
        };
        assert_eq!(run(7, 1), run(7, 1));
        assert_ne!(run(7, 1), run(7, 2));
        assert_ne!(run(7, 1), run(8, 1));
    }
}
