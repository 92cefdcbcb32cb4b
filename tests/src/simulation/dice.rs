//! Chance: seeded in random runs, and none where every choice is made on purpose.

use fastrand::Rng;

/// Where numbers that nobody chooses come from: jitter.
#[derive(Clone)]
pub enum Dice {
    /// From a seed.
    Seeded(Rng),
    /// Always zero: no wait is longer than it must be.
    Zero,
}

impl Dice {
    /// Random bits.
    pub fn bits(&mut self) -> u64 {
        match self {
            Self::Seeded(rng) => rng.u64(..),
            Self::Zero => 0,
        }
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        match self {
            Self::Seeded(rng) if end > 1 => rng.usize(0..end),
            _ => 0,
        }
    }

    /// True so many times in 256.
    pub fn chance(&mut self, times: u8) -> bool {
        match self {
            Self::Seeded(rng) => rng.u8(..) < times,
            Self::Zero => false,
        }
    }
}
