//! Percentages and durations as people type them.

use std::str::FromStr;
use std::time::Duration;

/// A share between 0 % and 100 %, in basis points so that `0.5%` is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent {
    basis_points: u32,
}

/// Basis points in a whole.
const WHOLE: u64 = 10_000;

impl Percent {
    /// The share in hundredths of a percent.
    pub(crate) fn basis_points(self) -> u32 {
        self.basis_points
    }

    /// True if a uniformly random number falls into the share.
    pub(crate) fn hits(self, random: u64) -> bool {
        random % WHOLE < u64::from(self.basis_points)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a percentage from 0% to 100%, such as 5%");
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.len() > 2 || whole.is_empty() {
            return Err(wrong());
        }
        let digits = format!("{whole}{fraction:0<2}");
        let basis_points: u32 = digits.parse().map_err(|_| wrong())?;
        if u64::from(basis_points) > WHOLE {
            return Err(wrong());
        }
        Ok(Self { basis_points })
    }
}

/// `90s`, `5m`, `24h`, and combinations of them.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a number and a unit, such as 90s or 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_at_most_two_decimals_and_ends_at_100() {
        let points = |text: &str| text.parse::<Percent>().map(|p| p.basis_points).ok();
        assert_eq!(points("5%"), Some(500));
        assert_eq!(points("0.5%"), Some(50));
        assert_eq!(points("100"), Some(10_000));
        for wrong in ["", "%", "101%", "-1%", "1.234%", "x"] {
            assert_eq!(points(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zero_percent_never_hits_and_a_hundred_always_does() {
        let never: Percent = "0%".parse().unwrap();
        let always: Percent = "100%".parse().unwrap();
        for random in [0, 1, 9_999, 10_000, u64::MAX] {
            assert!(!never.hits(random) && always.hits(random));
        }
    }
}
