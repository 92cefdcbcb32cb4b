//! Who has trouble in the demo.

use crate::random::Random;

/// The trouble of each device, by seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Casting {
    /// All devices, in order.
    pub(super) devices: Vec<String>,
    /// Index of the device with the broken sensor.
    pub(super) broken: usize,
    /// Index of the device that loses its network.
    pub(super) unlucky: usize,
}

impl Casting {
    pub(super) fn new(count: u32, seed: u64) -> Self {
        let digits = count.to_string().len().max(2);
        let devices = (1..=count)
            .map(|number| format!("dev-{number:0digits$}"))
            .collect();
        let count = u64::from(count);
        let mut random = Random::new(seed);
        let broken = random.below(count);
        let unlucky = (broken + 1 + random.below(count.saturating_sub(1))) % count;
        let index = |number: u64| usize::try_from(number).unwrap_or(0);
        Self {
            devices,
            broken: index(broken),
            unlucky: index(unlucky),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_who_has_trouble_and_never_the_same_device_twice() {
        assert_eq!(Casting::new(25, 7), Casting::new(25, 7));
        assert_ne!(Casting::new(25, 1).broken, Casting::new(25, 2).broken);
        for seed in 0..1_000 {
            let casting = Casting::new(3, seed);
            assert_ne!(casting.broken, casting.unlucky, "seed {seed}");
            assert!(casting.unlucky < 3 && casting.broken < 3);
        }
        assert_eq!(Casting::new(25, 7).devices[6], "dev-07");
    }
}
